use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::{CLASSES, SIDE, classes};
use crate::error::check_data_folder;
use crate::{DataError, ImageSet, Result};

/// First word of an IDX file of u8 with three dimensions.
const IMAGES_MAGIC: u32 = 0x0803;
/// First word of an IDX file of u8 with one dimension.
const LABELS_MAGIC: u32 = 0x0801;
/// Deflate cannot expand by more than this.
const GREATEST_EXPANSION: u64 = 1032;

/// Reads Fashion-MNIST's four IDX files from a folder: the training images and the test images.
///
/// The names are the original ones, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each plain or with `.gz`; the plain file
/// is taken where both exist. `idx` may follow a dot instead of a hyphen. Any number of 28 x 28
/// images is accepted. In a folder named `MNIST` or `KMNIST`, or in its folder `raw`, the classes
/// are the digits `0` to `9`. Memory is allocated for the bytes present, not for the size that a
/// header claims.
///
/// # Errors
///
/// If the folder or a file is missing or unreadable, a file is truncated, too long or of another
/// kind, images and labels differ in number, or a label is above 9.
pub fn load_idx(dir: &Path) -> Result<(ImageSet, ImageSet)> {
    check_data_folder(dir)?;
    let (name, classes) = data_set(dir);
    let train = load_part(
        dir,
        format!("{name} training images"),
        &classes,
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    )?;
    let test = load_part(
        dir,
        format!("{name} test images"),
        &classes,
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )?;
    Ok((train, test))
}

/// One set from its pair of files.
fn load_part(
    dir: &Path,
    name: String,
    classes: &[String],
    images: &'static str,
    labels: &'static str,
) -> Result<ImageSet> {
    let (images, labels) = (find(dir, images)?, find(dir, labels)?);
    let (count, pixels) = read_idx(&images, IMAGES_MAGIC, &[SIDE as u32, SIDE as u32])?;
    let (label_count, labels_read) = read_idx(&labels, LABELS_MAGIC, &[])?;
    if label_count != count {
        return Err(DataError::Format {
            expected: format!(
                "a label for each of the {count} images of {}",
                images.display()
            ),
            found: format!("{label_count} labels"),
            path: labels,
        });
    }
    let greatest = CLASSES.len() - 1;
    if let Some((index, label)) = labels_read
        .iter()
        .enumerate()
        .find(|(_, label)| usize::from(**label) > greatest)
    {
        return Err(DataError::Format {
            expected: format!("labels from 0 to {greatest}"),
            found: format!("label {label} at image {index}"),
            path: labels,
        });
    }
    ImageSet::new(
        name,
        pixels,
        [1, SIDE, SIDE],
        labels_read.into_iter().map(u32::from).collect(),
        classes.to_vec(),
    )
}

/// The data set according to the folder's name, and its classes. MNIST and Kuzushiji-MNIST use the
/// same file names.
fn data_set(dir: &Path) -> (&'static str, Vec<String>) {
    let mut names = dir.iter().rev().map(|name| name.to_string_lossy());
    let name = names.next().unwrap_or_default();
    let name = if name == "raw" {
        names.next()
    } else {
        Some(name)
    };
    let digits = || (0..CLASSES.len()).map(|digit| digit.to_string()).collect();
    match name.unwrap_or_default().to_ascii_lowercase().as_str() {
        "mnist" => ("MNIST", digits()),
        "kmnist" => ("Kuzushiji-MNIST", digits()),
        _ => ("Fashion-MNIST", classes()),
    }
}

/// The path of `file` in `dir`, plain or compressed, with a hyphen or a dot before `idx`.
fn find(dir: &Path, file: &'static str) -> Result<PathBuf> {
    let dotted = file.replace("-idx", ".idx");
    [
        file.to_owned(),
        format!("{file}.gz"),
        format!("{dotted}.gz"),
        dotted,
    ]
    .into_iter()
    .map(|name| dir.join(name))
    .find(|path| path.is_file())
    .ok_or_else(|| DataError::MissingFile {
        folder: dir.into(),
        file,
    })
}

/// The number of items and their bytes, from an IDX file whose items have the shape `item`.
fn read_idx(path: &Path, magic: u32, item: &[u32]) -> Result<(u32, Vec<u8>)> {
    let read_error = |source| read_error(path, source);
    let format = |expected: String, found: String| DataError::Format {
        path: path.into(),
        expected,
        found,
    };
    let file = File::open(path).map_err(read_error)?;
    let file_length = file.metadata().map_err(read_error)?.len();
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let (mut reader, possible_length): (Box<dyn Read>, u64) = if compressed {
        (
            Box::new(GzDecoder::new(BufReader::new(file))),
            file_length.saturating_mul(GREATEST_EXPANSION),
        )
    } else {
        (Box::new(BufReader::new(file)), file_length)
    };

    let mut header = vec![0; 4 * (2 + item.len())];
    reader.read_exact(&mut header).map_err(|source| {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            format(
                format!("an IDX header of {} bytes", header_length(item)),
                "the end of the file".into(),
            )
        } else {
            read_error(source)
        }
    })?;
    let mut words = header
        .chunks_exact(4)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    let (found_magic, count) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
    if found_magic != magic {
        return Err(format(
            format!("an IDX file that starts with {magic:#010x}"),
            format!("{found_magic:#010x}"),
        ));
    }
    let found_item: Vec<u32> = words.collect();
    if found_item != item {
        return Err(format(
            format!("images of {SIDE} x {SIDE} pixels"),
            format!("items of shape {found_item:?}"),
        ));
    }

    // At most 2^32 * 28 * 28: no overflow.
    let expected = u64::from(count) * item.iter().map(|&side| u64::from(side)).product::<u64>();
    let announced = || format!("{expected} bytes after the header, for {count} items");
    if expected > possible_length {
        return Err(format(
            announced(),
            format!("a file of {file_length} bytes, which cannot hold them"),
        ));
    }
    // The buffer grows with the bytes read. One byte more than announced detects a file that is too
    // long.
    let mut bytes = Vec::new();
    match reader.take(expected + 1).read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(source) => return Err(read_error(source)),
    }
    let found = bytes.len() as u64;
    if found < expected {
        return Err(format(
            announced(),
            format!("{found} bytes: the file is truncated"),
        ));
    }
    if found > expected {
        return Err(format(announced(), "more bytes".into()));
    }
    Ok((count, bytes))
}

fn header_length(item: &[u32]) -> usize {
    4 * (2 + item.len())
}

fn read_error(path: &Path, cause: io::Error) -> DataError {
    DataError::Read {
        path: path.into(),
        cause,
    }
}
