//! Decoding equals Pillow's: the files of tests/reference/decode, made and hashed by
//! tests/reference/decode.py.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use e2mc_data::Photo;
use e2mc_data::decode::{DecodeError, DecodeLimits, decode};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/decode")
}

fn index(path: &Path) -> BTreeMap<String, Value> {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Pillow decodes this file and we reject it. It has scans of two of three components, which the
/// JPEG decoder does not support.
const REJECTED: &str = "partly_interleaved.jpg";

/// A restart marker is missing: Pillow and we guess differently which blocks are lost.
const GUESSED: &str = "bad_restart_missing.jpg";

fn digest(pixels: &[u8]) -> String {
    Sha256::digest(pixels)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The difference from Pillow's result for one file, if any.
fn difference(bytes: &[u8], expected: &Value, photo: &mut Photo) -> Option<String> {
    match (
        decode(bytes, &DecodeLimits::default(), photo),
        expected.get("error"),
    ) {
        (Err(_), Some(_)) => None,
        (Err(error), None) => Some(format!("Pillow decodes it; here: {error}")),
        (Ok(()), Some(error)) => Some(format!("Pillow rejects it: {error}")),
        (Ok(()), None) => {
            let size = [&expected["height"], &expected["width"]]
                .map(|side| side.as_u64().unwrap() as usize);
            if photo.shape() != [size[0], size[1], 3] {
                Some(format!("{:?} instead of {size:?}", photo.shape()))
            } else if expected["sha256"] != digest(photo.pixels()) {
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
        .filter(|(name, _)| *name != GUESSED)
        .filter_map(|(name, expected)| {
            let bytes = std::fs::read(folder.join(name)).unwrap();
            let difference = if name == REJECTED {
                decode(&bytes, &DecodeLimits::default(), &mut photo)
                    .is_ok()
                    .then(|| "is no longer rejected".into())
            } else {
                difference(&bytes, expected, &mut photo)
            };
            difference.map(|difference| format!("{name}: {difference}"))
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

#[test]
fn what_is_wrong_is_said() {
    let mut photo = Photo::default();
    let mut error = |name: &str| {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        decode(&bytes, &DecodeLimits::default(), &mut photo).unwrap_err()
    };
    assert_eq!(error("bad_empty.jpg"), DecodeError::Empty);
    assert_eq!(error("bad_text.jpg"), DecodeError::UnknownFormat);
    assert_eq!(error("bad_one_byte.jpg"), DecodeError::UnknownFormat);
    for name in [
        "bad_truncated.jpg",
        "bad_no_end.jpg",
        "bad_header_only.jpg",
        "bad_truncated.png",
        "bad_truncated.webp",
    ] {
        assert_eq!(error(name), DecodeError::Truncated, "{name}");
    }
    for name in ["bad_huge.jpg", "bad_huge.png"] {
        assert!(
            matches!(
                error(name),
                DecodeError::TooLarge {
                    width: 20_000,
                    height: 20_000,
                    max_pixels: 178_956_970
                }
            ),
            "{name}"
        );
    }
    assert!(matches!(
        error("bad_zero_width.jpg"),
        DecodeError::Corrupt(_)
    ));
    assert!(matches!(
        error("bad_12_bit.jpg"),
        DecodeError::Unsupported(_)
    ));
    for (bytes, format) in [
        (&b"GIF89a"[..], "GIF"),
        (b"BM", "BMP"),
        (b"II*\0", "TIFF"),
        (b"P6 1 1", "PPM"),
    ] {
        let error = decode(bytes, &DecodeLimits::default(), &mut photo).unwrap_err();
        assert!(error.to_string().contains(format), "{error}");
    }
}

/// Inputs found by fuzzing, on which decoding panicked.
#[test]
fn found_by_fuzzing() {
    let mut photo = Photo::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found_by_fuzzing");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let result = decode(
            &std::fs::read(&path).unwrap(),
            &DecodeLimits::default(),
            &mut photo,
        );
        let panicked = result.is_err_and(|error| error.to_string().contains("decoder fails"));
        assert!(!panicked, "{}", path.display());
    }
}

#[test]
fn a_limit_holds_for_every_format() {
    let mut photo = Photo::default();
    for (name, pixels) in [
        ("baseline_420.jpg", 97 * 61),
        ("rgb_8.png", 29 * 23),
        ("lossless.webp", 61 * 47),
    ] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let mut result = |max_pixels| {
            let mut limits = DecodeLimits::default();
            limits.max_pixels = max_pixels;
            decode(&bytes, &limits, &mut photo)
        };
        assert_eq!(result(pixels), Ok(()));
        assert!(
            matches!(result(pixels - 1), Err(DecodeError::TooLarge { .. })),
            "{name}"
        );
    }
}

/// Every truncated file is rejected; for JPEG, even one that lacks a single byte.
#[test]
fn every_truncation_is_rejected() {
    let mut photo = Photo::default();
    for name in [
        "baseline_420.jpg",
        "baseline_444.jpg",
        "progressive_420.jpg",
        "cmyk_adobe.jpg",
        "rgba_8.png",
        "palette_4_interlaced.png",
        "lossy_80.webp",
        "lossless.webp",
    ] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        // After the pixels, a PNG has five bytes of zlib's end, a checksum, and an end chunk.
        // Pillow does not need them.
        let needed = if name.ends_with("png") {
            bytes.len() - 5 - 4 - 12
        } else {
            bytes.len()
        };
        for length in 0..needed {
            let result = decode(&bytes[..length], &DecodeLimits::default(), &mut photo);
            assert!(result.is_err(), "{name}: {length} of {} bytes", bytes.len());
        }
    }
}

/// Your own photographs: `E2MC_PHOTOGRAPHS` names the index that tests/reference/decode.py printed.
#[test]
#[ignore = "needs photographs and an index of them; see docs/benchmarks.md"]
fn photographs_as_pillow_decodes_them() {
    let path = std::env::var_os("E2MC_PHOTOGRAPHS").expect("E2MC_PHOTOGRAPHS names an index");
    let index = index(Path::new(&path));
    check(&index, Path::new("/"));
    println!("{} photographs, no difference to Pillow", index.len());
}

/// Files truncated at every length, with Pillow's verdict: tests/reference/decode_cuts.py.
#[test]
fn a_truncated_file_is_handled_as_by_pillow() {
    let folder = folder().join("../decode_cuts");
    let cuts: BTreeMap<String, Vec<(usize, Option<String>)>> =
        serde_json::from_slice(&std::fs::read(folder.join("cuts.json")).unwrap()).unwrap();
    assert!(cuts.len() > 15);
    let mut photo = Photo::default();
    let mut differences = Vec::new();
    for (name, changes) in cuts {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        for length in 0..=bytes.len() {
            let (_, verdict) = changes
                .iter()
                .rev()
                .find(|(from, _)| *from <= length)
                .unwrap();
            let found = decode(&bytes[..length], &DecodeLimits::default(), &mut photo);
            let found = found.is_ok().then(|| digest(photo.pixels()));
            if found != *verdict {
                differences.push(format!("{name}: {length} of {} bytes", bytes.len()));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// First frames with and without the "blend" flag that fill the canvas or part of it, from
/// tests/reference/decode_kinds.py.
#[test]
fn the_first_frame_of_an_animation_is_pillows() {
    let folder = folder().join("../decode_kinds");
    let index = index(&folder.join("index.json"));
    assert_eq!(index.len(), 18);
    check(&index, &folder);
}

/// Files from tests/reference/decode_kinds.py. HEIC and the kinds after the formats, which Pillow
/// cannot write, are tested by their first bytes.
#[test]
fn what_another_file_is_is_said() {
    let mut photo = Photo::default();
    let mut message = |bytes: &[u8]| {
        let result = decode(bytes, &DecodeLimits::default(), &mut photo);
        result.unwrap_err().to_string()
    };
    let folder = folder().join("../decode_kinds");
    let formats: BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(folder.join("formats.json")).unwrap()).unwrap();
    assert_eq!(formats.len(), 6);
    for (file, format) in formats {
        let message = message(&std::fs::read(folder.join(&file)).unwrap());
        let format = format.replace("JPEG2000", "JPEG 2000");
        assert!(
            message.starts_with(&format!("{format} is not supported")),
            "{message}"
        );
    }
    for (bytes, name) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "video"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "AppleDouble"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "HTML"),
        (&[0; 40], "zeros"),
    ] {
        let message = message(bytes);
        assert!(message.contains(name), "{message}");
    }
}
