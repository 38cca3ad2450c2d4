//! CIFAR-10 and CIFAR-100 in their binary form: color images of 32 x 32 pixels (Krizhevsky, 2009).

use std::path::Path;

use super::files::read_file;
use super::list;
use crate::{DataError, ImageSet, Result};

/// Height and width of an image.
const SIDE: usize = 32;
/// Bytes of an image, planar.
const IMAGE_BYTES: usize = 3 * SIDE * SIDE;
/// Far more than the longest file, 153.7 MB.
const MAX_BYTES: u64 = 1 << 30;

/// Reads CIFAR-10's binary files (`data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin`,
/// `batches.meta.txt`) from a folder: the 50,000 training images and the 10,000 test images, with
/// ten classes.
///
/// # Errors
///
/// If a file is missing or unreadable, is not made of whole images, or has a label that is not a
/// class.
pub fn load_10(dir: &Path) -> Result<(ImageSet, ImageSet)> {
    let classes = names(dir, "batches.meta.txt")?;
    let batches: Vec<String> = (1..=5).map(|n| format!("data_batch_{n}.bin")).collect();
    let train = load(dir, "CIFAR-10 training images", &batches, 1, &classes)?;
    let test = load(
        dir,
        "CIFAR-10 test images",
        &["test_batch.bin".into()],
        1,
        &classes,
    )?;
    Ok((train, test))
}

/// Reads CIFAR-100's binary files (`train.bin`, `test.bin`, `fine_label_names.txt`) from a folder:
/// the 50,000 training images and the 10,000 test images, with the hundred fine classes.
///
/// # Errors
///
/// As [`load_10`].
pub fn load_100(dir: &Path) -> Result<(ImageSet, ImageSet)> {
    let classes = names(dir, "fine_label_names.txt")?;
    let train = load(
        dir,
        "CIFAR-100 training images",
        &["train.bin".into()],
        2,
        &classes,
    )?;
    let test = load(
        dir,
        "CIFAR-100 test images",
        &["test.bin".into()],
        2,
        &classes,
    )?;
    Ok((train, test))
}

/// One set from its files. Before each image are `labels` bytes; the last one is its class.
fn load(
    dir: &Path,
    name: &str,
    files: &[String],
    labels: usize,
    classes: &[String],
) -> Result<ImageSet> {
    let (mut pixels, mut found) = (Vec::new(), Vec::new());
    for file in files {
        let path = dir.join(file);
        let bytes = read_file(&path, MAX_BYTES)?;
        let problem = |expected: String, found: String| DataError::Format {
            path: path.clone(),
            expected,
            found,
        };
        let record = labels + IMAGE_BYTES;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            return Err(problem(
                format!("images of {record} bytes each, without header"),
                format!("{} bytes", bytes.len()),
            ));
        }
        for (index, record) in bytes.chunks_exact(record).enumerate() {
            let label = record[labels - 1];
            if usize::from(label) >= classes.len() {
                return Err(problem(
                    format!("labels below {}", classes.len()),
                    format!("label {label} at image {index}"),
                ));
            }
            found.push(u32::from(label));
            pixels.extend_from_slice(&record[labels..]);
        }
    }
    ImageSet::new(name, pixels, [3, SIDE, SIDE], found, classes.to_vec())
}

/// The classes, one per line.
fn names(dir: &Path, file: &str) -> Result<Vec<String>> {
    let path = dir.join(file);
    let text = read_file(&path, MAX_BYTES)?;
    let names: Vec<String> = list::text(&text)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(String::from)
        .collect();
    if names.is_empty() || names.len() > 256 {
        return Err(DataError::Format {
            path,
            expected: "the name of a class in each line".into(),
            found: format!("{} names", names.len()),
        });
    }
    Ok(names)
}
