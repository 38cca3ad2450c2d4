//! Imports arbitrary bytes as a checkpoint. Errors are fine; panics, hangs and excessive memory are
//! not.
//!
//! The first byte says how the others are wrapped, so that mutations get past checksums and
//! lengths.
#![no_main]

use std::io::{Cursor, Write};

use e2mc_resnet::Checkpoint;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;

fuzz_target!(|data: &[u8]| {
    let Some((&wrapping, rest)) = data.split_first() else {
        return;
    };
    let bytes = match wrapping % 4 {
        // A file as it is: zip, legacy, safetensors, or anything.
        0 | 3 => rest.to_vec(),
        // A pickle as the `data.pkl` of a proper archive.
        1 => archive(rest),
        // JSON as the header of a safetensors file with 256 bytes of values.
        _ => [&(rest.len() as u64).to_le_bytes(), rest, &[0; 256]].concat(),
    };
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a temporary file");
    file.write_all(&bytes).expect("written");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        let _ = checkpoint.summary().to_string();
        let _ = checkpoint.decisions();
        let _ = checkpoint.optimizer_momentum();
        let names: Vec<String> = checkpoint.tensors().map(|tensor| tensor.name).collect();
        for name in names {
            let _ = checkpoint.read(&name);
        }
    }
});

fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8]| {
        archive.start_file(name, stored).expect("an entry");
        archive.write_all(bytes).expect("written");
    };
    put("a/data.pkl", pickle);
    put("a/byteorder", b"little");
    for key in 0..8 {
        put(&format!("a/data/{key}"), &[0x3c; 256]);
    }
    put("a/version", b"3\n");
    archive.finish().expect("an archive").into_inner()
}
