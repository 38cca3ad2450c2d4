//! Files with false sizes. Each gives an error before memory is allocated for the claimed size.

mod common;

use std::fs;
use std::io::{Cursor, Write};

use common::reference;
use e2mc_resnet::Checkpoint;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

fn error(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lie.pth");
    fs::write(&path, bytes).unwrap();
    let before = peak();
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    // The kernel counts roughly, so that the peak can fall by some pages.
    let taken = peak().saturating_sub(before);
    // The whole test binary shares one peak; nothing in it needs more.
    assert!(taken < 256 << 20, "took {taken} bytes: {error}");
    assert!(
        !error.contains('\n') && error.contains("lie.pth"),
        "{error}"
    );
    error
}

/// The most memory that this process ever had (Linux; 0 elsewhere).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .map_or(0, |kilobytes| {
            kilobytes.trim().parse::<u64>().unwrap() * 1024
        })
}

fn archive(entries: &[(&str, &[u8])], compression: CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = SimpleFileOptions::default().compression_method(compression);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A dictionary `{"w": tensor}` whose tensor has this shape, stride and storage length, as
/// `torch.save` pickles it.
fn pickled_tensor(shape: &[i32], stride: &[i32], storage: i32) -> Vec<u8> {
    let int = |i: i32| [&b"J"[..], &i.to_le_bytes()].concat();
    let tuple = |items: &[i32]| {
        [
            &b"("[..],
            &items.iter().flat_map(|&i| int(i)).collect::<Vec<_>>(),
            b"t",
        ]
        .concat()
    };
    [
        &b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"[..],
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
        &int(storage),
        b"tQ",
        &int(0),
        &tuple(shape),
        &tuple(stride),
        b"\x89ccollections\nOrderedDict\n)RtRs.",
    ]
    .concat()
}

fn with_tensor(shape: &[i32], stride: &[i32], storage: i32, values: usize) -> Vec<u8> {
    let pickle = pickled_tensor(shape, stride, storage);
    let values = vec![0; values * 4];
    archive(
        &[("a/data.pkl", &pickle), ("a/data/0", &values)],
        CompressionMethod::Stored,
    )
}

#[test]
fn the_writer_of_these_tests_writes_what_pytorch_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("honest.pth");
    fs::write(&path, with_tensor(&[2, 3], &[3, 1], 6, 6)).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.shape("w"), Some(vec![2, 3]));
    assert_eq!(
        checkpoint.read("w").unwrap().try_into_vec::<f32>().unwrap(),
        [0.0; 6]
    );
}

#[test]
fn shapes_that_the_storage_does_not_hold() {
    let max = i32::MAX;
    for (shape, stride) in [
        (&[max, max][..], &[1, 1][..]),
        (&[max, max, max], &[0, 0, 0]),
        (&[1 << 20, 1 << 10], &[0, 0]),
        (&[7], &[1]),
        (&[-1], &[1]),
        (&[2], &[-1]),
        (&[2, 2], &[1]),
    ] {
        error(&with_tensor(shape, stride, 6, 6));
    }
    error(&with_tensor(&[6], &[1], -6, 6));
}

#[test]
fn a_storage_shorter_than_stated() {
    // Only the archive has its length, so it is detected when the values are read.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.pth");
    fs::write(&path, with_tensor(&[90], &[1], 90, 6)).unwrap();
    let error = Checkpoint::open(&path).unwrap().read("w").unwrap_err();
    assert!(
        error.to_string().contains("truncated or damaged"),
        "{error}"
    );
}

#[test]
fn archives_that_unpack_to_many_times_their_size() {
    let zeros = vec![0; 64 << 20];
    let pickle = pickled_tensor(&[1], &[1], 16 << 20);
    let bomb = archive(
        &[("a/data.pkl", &pickle), ("a/data/0", &zeros)],
        CompressionMethod::Deflated,
    );
    assert!(bomb.len() < 1 << 20);
    assert!(error(&bomb).contains("its entries claim 6710"));
    let lists = vec![b']'; 65 << 20];
    let bomb = archive(&[("a/data.pkl", &lists)], CompressionMethod::Deflated);
    assert!(error(&bomb).contains("its data.pkl claims"));
}

#[test]
fn pickles_that_grow() {
    let in_archive = |pickle: &[u8]| {
        error(&archive(
            &[("a/data.pkl", pickle)],
            CompressionMethod::Stored,
        ))
    };
    // A shape of 50,000 dimensions, fetched 100,000 times: 40 GB for a reader that copies.
    let mut shape = vec![b'('];
    shape.extend(b"K\x01".repeat(50_000));
    shape.extend(b"tq\x00");
    shape.extend(b"h\x00".repeat(100_000));
    shape.push(b'.');
    assert!(in_archive(&shape).contains("it holds no tensors"));
    // A list that holds a tensor ten times, a list that holds that list ten times, and so on: 10^20
    // names.
    let tensor = &pickled_tensor(&[1], &[1], 1)[2..];
    let tensor = &tensor[..tensor.len() - 1];
    let mut nested = [tensor, b"q\x00"].concat();
    for i in 1..20u8 {
        nested.extend(b"](");
        nested.extend([b'h', i - 1].repeat(10));
        nested.extend([b'e', b'q', i]);
    }
    nested.push(b'.');
    assert!(in_archive(&nested).contains("names take too much memory"));
    assert!(in_archive(&b"]".repeat(2_000_000)).contains("ends early after 2000000 instructions"));
    // The same in a legacy file: five pickles, the first of which is the magic number.
    let mut legacy = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    legacy.extend(b"\x80\x02M\xe9\x03.\x80\x02}.");
    legacy.extend(&nested);
    legacy.extend(b"](U\x010e.");
    legacy.extend(1u64.to_le_bytes());
    legacy.extend([0; 4]);
    assert!(error(&legacy).contains("names take too much memory"));
}

#[test]
fn safetensors_headers_that_claim_more() {
    let file = |len: u64, header: &str, values: usize| {
        [&len.to_le_bytes()[..], header.as_bytes(), &vec![0; values]].concat()
    };
    let whole = |header: &str, values| file(header.len() as u64, header, values);
    let tensor = |shape: &str, end: u64| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    assert!(error(&file(1 << 60, "{}", 0)).contains("its header claims"));
    assert!(error(&file(99_999_999, "{\"a\"", 0)).contains("its header claims"));
    assert!(error(&whole(&tensor("[1099511627776]", 4 << 40), 16)).contains("describes"));
    assert!(
        error(&whole(
            &tensor("[4294967296,4294967296,4294967296]", 16),
            16
        ))
        .contains("damaged")
    );
    error(&whole(&tensor("[4]", 8), 8));
    error(&whole(&tensor("[4]", 16), 15));
    error(&whole(&tensor("[-4]", 16), 16));
    error(&whole("{\"w\":", 16));
    error(&whole(&format!("{{\"w\":{}", "[".repeat(100_000)), 16));
}

#[test]
fn a_tar_archive_says_what_to_do() {
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(error(&tar).contains("a tar archive; if PyTorch before 0.1.10 wrote it"));
}

/// Inputs that the fuzzer kept for coverage, and inputs that failed.
#[test]
fn the_fuzzers_regressions_are_read_without_panic() {
    let folder = reference("regressions");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        files += 1;
        if let Ok(checkpoint) = Checkpoint::open(&path) {
            let _ = checkpoint.summary().to_string();
            let _ = checkpoint.decisions();
            let _ = checkpoint.optimizer_momentum();
            let names: Vec<String> = checkpoint.tensors().map(|tensor| tensor.name).collect();
            for name in names {
                let _ = checkpoint.read(&name);
            }
        }
    }
    assert!(files > 20, "{files} files");
}
