//! Decoding equals Pillow's: the files of tests/reference/decode, made and hashed by tests/reference/decode.py.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use e2mc_data::decode::{DecodeLimits, decode};
use e2mc_data::source::Photo;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/decode")
}

fn index(path: &Path) -> BTreeMap<String, Value> {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What differs from Pillow's result for one file, if anything.
fn difference(bytes: &[u8], expected: &Value, photo: &mut Photo) -> Option<String> {
    match (
        decode(bytes, &DecodeLimits::default(), photo),
        expected.get("error"),
    ) {
        (Err(_), Some(_)) => None,
        (Err(error), None) => Some(format!("Pillow decodes it; here: {error}")),
        (Ok(()), Some(error)) => Some(format!("Pillow refuses it: {error}")),
        (Ok(()), None) => {
            let size = [&expected["height"], &expected["width"]]
                .map(|side| side.as_u64().unwrap() as usize);
            let digest: String = Sha256::digest(photo.pixels())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if photo.shape() != [size[0], size[1], 3] {
                Some(format!("{:?} instead of {size:?}", photo.shape()))
            } else if expected["sha256"] != digest {
                Some("other pixels".into())
            } else {
                None
            }
        }
    }
}

fn check(index: &BTreeMap<String, Value>, folder: &Path) {
    let mut photo = Photo::default();
    let differences: Vec<String> = index
        .iter()
        .filter_map(|(name, expected)| {
            let bytes = std::fs::read(folder.join(name)).unwrap();
            difference(&bytes, expected, &mut photo)
                .map(|difference| format!("{name}: {difference}"))
        })
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {} files differ from Pillow:\n{}",
        differences.len(),
        index.len(),
        differences.join("\n")
    );
}

#[test]
fn every_form_of_file_as_pillow_decodes_it() {
    let index = index(&folder().join("index.json"));
    assert!(index.len() > 180);
    check(&index, &folder());
}

/// Photographs of one's own: `E2MC_PHOTOGRAPHS` names the index that tests/reference/decode.py printed.
#[test]
#[ignore = "needs photographs and an index of them; see docs/benchmarks.md"]
fn photographs_as_pillow_decodes_them() {
    let path = std::env::var_os("E2MC_PHOTOGRAPHS").expect("E2MC_PHOTOGRAPHS names an index");
    let index = index(Path::new(&path));
    check(&index, Path::new("/"));
    println!("{} photographs, no difference to Pillow", index.len());
}
