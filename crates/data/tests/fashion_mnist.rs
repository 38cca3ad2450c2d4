//! The embedded subset equals the original files, and the IDX reader rejects bad folders.

use std::io::Write;
use std::path::Path;

use e2mc_data::{DataError, ImageSet, fashion_mnist};
use sha2::{Digest, Sha256};

/// SHA-256 of the pixels and labels in the original order.
fn digest(set: &ImageSet) -> String {
    let mut hasher = Sha256::new();
    for index in 0..set.len() {
        hasher.update(set.image(index));
    }
    for label in set.labels() {
        hasher.update([u8::try_from(*label).unwrap()]);
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn embedded_sets_are_the_original_images() {
    let digests: serde_json::Value =
        serde_json::from_str(include_str!("../embedded/digests.json")).unwrap();
    for (set, name) in [
        (fashion_mnist::embedded_train(), "train"),
        (fashion_mnist::embedded_test(), "test"),
    ] {
        assert_eq!(set.len(), 10_000);
        assert_eq!([set.channels(), set.height(), set.width()], [1, 28, 28]);
        assert_eq!(set.classes().len(), 10);
        for class in 0..10 {
            assert_eq!(
                set.labels().iter().filter(|label| **label == class).count(),
                1000
            );
        }
        assert_eq!(digest(&set), digests[name].as_str().unwrap(), "{name}");
    }
    // Rounded to four digits, as the statistics are commonly given.
    let normalization = &*fashion_mnist::NORMALIZATION;
    assert!(
        (f64::from(normalization.mean[0]) - digests["train_mean"].as_f64().unwrap()).abs() < 5e-5
    );
    assert!(
        (f64::from(normalization.std[0]) - digests["train_std"].as_f64().unwrap()).abs() < 5e-5
    );
}

const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn idx(magic: u32, dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = magic.to_be_bytes().to_vec();
    for dim in dims {
        file.extend(dim.to_be_bytes());
    }
    file.extend(bytes);
    file
}

fn images(count: u32) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count * 784).map(|value| (value % 251) as u8).collect();
    idx(0x0803, &[count, 28, 28], &pixels)
}

fn labels(labels: &[u8]) -> Vec<u8> {
    idx(0x0801, &[labels.len() as u32], labels)
}

/// A folder with 3 training and 2 test images.
fn good_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in
        NAMES
            .iter()
            .zip([images(3), labels(&[0, 9, 4]), images(2), labels(&[1, 2])])
    {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn plain_and_compressed_files_load() {
    let folder = good_folder();
    let (train, test) = fashion_mnist::load_idx(folder.path()).unwrap();
    assert_eq!((train.len(), test.len()), (3, 2));
    assert_eq!(train.labels(), [0, 9, 4]);
    assert_eq!(train.image(1)[0], (784 % 251) as u8);

    let compressed = tempfile::tempdir().unwrap();
    for name in NAMES {
        let content = std::fs::read(folder.path().join(name)).unwrap();
        std::fs::write(compressed.path().join(format!("{name}.gz")), gzip(&content)).unwrap();
    }
    let (train_gz, test_gz) = fashion_mnist::load_idx(compressed.path()).unwrap();
    assert_eq!(digest(&train_gz), digest(&train));
    assert_eq!(digest(&test_gz), digest(&test));
}

/// The error of a good folder after one change; it must be one line and name `file`.
fn error_after(change: impl FnOnce(&Path), file: &str) -> DataError {
    let folder = good_folder();
    change(folder.path());
    let error = fashion_mnist::load_idx(folder.path()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(file), "{message}");
    assert!(!message.contains('\n'), "{message}");
    error
}

fn write(file: &str, content: Vec<u8>) -> impl FnOnce(&Path) {
    move |folder| std::fs::write(folder.join(file), content).unwrap()
}

#[test]
fn missing_folders_and_files() {
    let missing = fashion_mnist::load_idx(Path::new("/no/such/folder")).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("/no/such/folder: does not exist")
    );
    assert!(missing.to_string().contains("the embedded subset is used"));

    let empty = tempfile::tempdir().unwrap();
    let error = fashion_mnist::load_idx(empty.path()).unwrap_err();
    assert!(matches!(
        error,
        DataError::Folder {
            problem: "is empty",
            ..
        }
    ));

    let file = tempfile::NamedTempFile::new().unwrap();
    let error = fashion_mnist::load_idx(file.path()).unwrap_err();
    assert!(matches!(
        error,
        DataError::Folder {
            problem: "is not a folder",
            ..
        }
    ));

    for name in NAMES {
        let error = error_after(
            |folder| std::fs::remove_file(folder.join(name)).unwrap(),
            name,
        );
        assert!(matches!(error, DataError::MissingFile { file, .. } if file == name));
    }
}

#[test]
fn damaged_files() {
    let name = NAMES[0];
    for (content, found) in [
        (vec![], "the end of the file"),
        (images(3)[..15].to_vec(), "the end of the file"),
        (images(3)[..2000].to_vec(), "cannot hold them"),
        ([images(3), vec![0]].concat(), "more bytes"),
        (labels(&[0; 3000]), "0x00000801"),
        (
            b"<!DOCTYPE html><html>not found</html>".to_vec(),
            "0x3c21444f",
        ),
        (idx(0x0803, &[3, 32, 32], &[0; 3 * 32 * 32]), "[32, 32]"),
    ] {
        let error = error_after(write(name, content), name);
        assert!(matches!(error, DataError::Format { .. }), "{error:?}");
        assert!(error.to_string().contains(found), "{error}");
    }
    let error = error_after(write(NAMES[1], labels(&[0, 1])), NAMES[1]);
    assert!(
        error
            .to_string()
            .contains("a label for each of the 3 images"),
        "{error}"
    );
    let error = error_after(write(NAMES[3], labels(&[1, 10])), NAMES[3]);
    assert!(error.to_string().contains("label 10 at image 1"), "{error}");
}

#[test]
fn damaged_compressed_files() {
    let compressed = |content: Vec<u8>| {
        move |folder: &Path| {
            std::fs::remove_file(folder.join(NAMES[0])).unwrap();
            std::fs::write(folder.join(format!("{}.gz", NAMES[0])), content).unwrap();
        }
    };
    let whole = gzip(&images(3));
    let error = error_after(compressed(whole[..whole.len() / 2].to_vec()), NAMES[0]);
    assert!(error.to_string().contains("truncated"), "{error}");
    let error = error_after(compressed(gzip(&images(3)[..1000])), NAMES[0]);
    assert!(error.to_string().contains("truncated"), "{error}");
    let error = error_after(
        compressed(b"not a gzip file, whatever its name".to_vec()),
        NAMES[0],
    );
    assert!(matches!(error, DataError::Read { .. }), "{error:?}");
    let mut damaged = whole.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 0xff;
    let error = error_after(compressed(damaged), NAMES[0]);
    assert!(matches!(error, DataError::Read { .. }), "{error:?}");
}

/// Headers that announce 3.4 TB are rejected before anything is allocated.
#[test]
fn hostile_headers_do_not_allocate() {
    let hostile = idx(0x0803, &[u32::MAX, 28, 28], &[0; 64]);
    let error = error_after(write(NAMES[0], hostile.clone()), NAMES[0]);
    assert!(error.to_string().contains("cannot hold them"), "{error}");
    let error = error_after(
        |folder| {
            std::fs::remove_file(folder.join(NAMES[0])).unwrap();
            std::fs::write(folder.join(format!("{}.gz", NAMES[0])), gzip(&hostile)).unwrap();
        },
        NAMES[0],
    );
    assert!(error.to_string().contains("cannot hold them"), "{error}");
}
