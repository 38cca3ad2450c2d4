use std::io;
use std::path::{Path, PathBuf};

use crate::decode::DecodeError;

/// A result whose error is [`DataError`], unless another one is named.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// An error in data or options from outside the program.
///
/// Each message is one line: the file or option, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data folder does not exist or is not a folder.
    #[error(
        "data folder {path}: {problem}; expected images (with or without a folder for each class), \
         or the four Fashion-MNIST IDX files (train-images-idx3-ubyte and so on, plain or .gz); \
         without a data folder the embedded subset is used"
    )]
    Folder {
        /// The folder as given.
        path: PathBuf,
        /// What is wrong with it: "does not exist", "is not a folder", "is empty".
        problem: &'static str,
    },
    /// One of the expected files is not in the data folder.
    #[error(
        "data folder {folder}: {file} is missing (also looked for {file}.gz, and with .idx for \
         -idx); \
         copy all four Fashion-MNIST IDX files there, or leave out the data folder to use the \
         embedded subset"
    )]
    MissingFile {
        /// The folder as given.
        folder: PathBuf,
        /// The missing file's name.
        file: &'static str,
    },
    /// A file could not be read by the operating system, or its compressed stream is damaged.
    #[error("{path}: cannot be read: {cause}; {}", read_way_out(.cause))]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file does not have the content that the data set requires.
    #[error("{path}: expected {expected}, found {found}; copy the original file again")]
    Format {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file cannot be used as an image.
    #[error("{path}: {problem}; replace or remove the file")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: DecodeError,
    },
    /// The folders in a data folder contradict each other, or do not show which one is for
    /// training.
    #[error("{path}: {problem}; {way_out}")]
    Layout {
        /// The data folder.
        path: PathBuf,
        /// What is wrong, with the names of the folders.
        problem: String,
        /// What to do.
        way_out: &'static str,
    },
    /// A class has only one image, which cannot be in both parts.
    #[error(
        "class {class} has only one image, {image}: it is used for training, and the test has none \
         of this class"
    )]
    SingleImage {
        /// The class.
        class: String,
        /// Its image.
        image: String,
    },
    /// A folder in the data folder is not used.
    #[error("{path} is not used: {reason}")]
    Unused {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A class has fewer images than were asked for.
    #[error(
        "class {class} has {available} images, fewer than the {asked} asked for; ask for fewer, or \
         add images"
    )]
    ClassTooSmall {
        /// The class.
        class: String,
        /// The images it has.
        available: usize,
        /// The images asked for of each class.
        asked: usize,
    },
    /// A folder does not have the images it should have.
    #[error("{path} {problem}; {way_out}")]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// What is missing: "holds no image", "holds no class folder", "is a class without images".
        problem: &'static str,
        /// What was expected, or what to do.
        way_out: &'static str,
    },
    /// A device failed while a batch was sent to it or normalized there.
    #[error(
        "device {place} of {devices} failed while images were sent to it: {problem}; check that it \
         is there and has memory left"
    )]
    Device {
        /// The device's place in the list of devices, from 1.
        place: usize,
        /// The number of devices.
        devices: usize,
        /// What the backend said.
        problem: String,
    },
    /// A file or folder was left out of a source.
    #[error("{path} is left out: it {problem}")]
    LeftOut {
        /// The file or folder.
        path: PathBuf,
        /// Why, and what to do.
        problem: &'static str,
    },
    /// A file could not be written.
    #[error("{path}: cannot be written: {cause}; {}", write_way_out(.cause))]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A prepared file is damaged, unfinished, of another version, or made from other images.
    #[error("prepared images {path}: {problem}; delete the file and prepare the images again")]
    Prepared {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An image that could not be read when the images were prepared.
    #[error(
        "prepared images {path}: image {name} could not be read when they were prepared: {problem}"
    )]
    PreparedWithout {
        /// The prepared file.
        path: PathBuf,
        /// The image.
        name: String,
        /// What was wrong with it then.
        problem: String,
    },
    /// Images and labels are inconsistent in a set built from memory.
    #[error("image set {name}: expected {expected}, found {found}")]
    ImageSet {
        /// The set's name.
        name: String,
        /// What was expected.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A set or list is empty.
    #[error("{what} is empty; at least one image is needed")]
    Empty {
        /// The set or list.
        what: String,
    },
    /// A batch must fit into the set: the last, incomplete batch of an epoch is dropped.
    #[error(
        "batch size {batch_size} is larger than the {available} images of {name}; choose a batch \
         size between 1 and \
         {available}"
    )]
    BatchTooLarge {
        /// The batch size asked for.
        batch_size: usize,
        /// The number of images in the set.
        available: usize,
        /// The set's name.
        name: String,
    },
    /// More images of an epoch than the limit allows could not be read.
    #[error(
        "{name}: {failed} of the {samples} images of the epoch cannot be read, more than \
         {percent}% of them; the last: {last}; \
         repair or remove the files, or raise the failure limit", percent = .limit * 100.0
    )]
    TooManyFailedReads {
        /// The source's name.
        name: String,
        /// The number of unreadable images so far.
        failed: usize,
        /// The images of the epoch on this device.
        samples: usize,
        /// The share of them that may fail.
        limit: f64,
        /// The last of them, and why.
        last: String,
    },
    /// An option is out of range.
    #[error("{option} is {value}, expected {expected}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        expected: String,
    },
}

impl DataError {
    /// A [`DataError::InvalidOption`].
    pub(crate) fn option(
        option: &'static str,
        expected: impl Into<String>,
        value: impl std::fmt::Debug,
    ) -> Self {
        Self::InvalidOption {
            option,
            value: format!("{value:?}"),
            expected: expected.into(),
        }
    }
}

/// What to do about a file that cannot be read.
fn read_way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path, or copy the file there",
        io::ErrorKind::PermissionDenied => "check its permissions",
        _ => "copy the file again",
    }
}

/// What to do about a file that cannot be written.
fn write_way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on the disk, or choose another place"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "check the folder's permissions, or choose another place"
        }
        _ => "choose another place",
    }
}

/// Checks that `folder` is a folder and not empty.
pub(crate) fn check_data_folder(folder: &Path) -> Result<()> {
    let problem = match folder.read_dir() {
        Ok(mut entries) => match entries.next() {
            Some(_) => return Ok(()),
            None => "is empty",
        },
        Err(_) if !folder.exists() => "does not exist",
        Err(_) if !folder.is_dir() => "is not a folder",
        Err(cause) => {
            return Err(DataError::Read {
                path: folder.into(),
                cause,
            });
        }
    };
    Err(DataError::Folder {
        path: folder.into(),
        problem,
    })
}

/// Checks that `value` is a probability.
pub(crate) fn probability(option: &'static str, value: f32) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(DataError::option(option, "a probability, 0 to 1", value))
    }
}
