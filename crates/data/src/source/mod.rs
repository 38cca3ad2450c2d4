//! Sources of images.
//!
//! An [`ImageSource`] decodes its images one at a time:
//!
//! - [`ImageFolder`]: a folder for each class, as torchvision's `ImageFolder` reads them, or any
//!   folder of images without labels; [`imagenet`] adds ImageNet's layout and its lists of labeled
//!   images.
//! - [`INaturalist2018`]: images listed in the JSON files of iNaturalist 2018.
//! - [`Voc2007`]: Pascal VOC 2007, with several classes per image.
//! - [`ImageSet`](crate::ImageSet): images in memory, such as [`cifar`]'s and
//!   [`fashion_mnist`](crate::fashion_mnist)'s.
//! - [`Subset`]: some images of another source.
//! - [`Prepared`]: the images of another source, decoded once into one file.
//!
//! [`DataSet`] recognizes the kind of a folder and its test part. [`DataSummary`] describes the
//! result.

pub mod cifar;
mod data_set;
mod file_kind;
mod files;
mod fingerprint;
mod image_folder;
pub mod imagenet;
mod inaturalist;
mod layout;
mod list;
mod memory;
mod prepared;
mod scan;
mod scan_cache;
mod subset;
mod summary;
mod tiny_imagenet;
mod voc;
mod write;

pub use data_set::DataSet;
pub use file_kind::{EXTENSIONS, LeftOut};
pub use fingerprint::Fingerprint;
pub use image_folder::ImageFolder;
pub use inaturalist::INaturalist2018;
pub use layout::{DataFolder, FolderLayout};
pub use prepared::Prepared;
pub use scan::ScanOptions;
pub use subset::Subset;
pub use summary::{ClassSummary, DataSummary, PartSummary};
pub use voc::{Presence, Voc2007};

use crate::Photo;

use crate::Result;

/// For fuzz/fuzz_targets/lists.rs, which parses without a file.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn parse_inaturalist(json: &[u8]) {
    let _ = inaturalist::List::parse(json);
}

/// For fuzz/fuzz_targets/lists.rs, which parses without a file.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn parse_voc(xml: &[u8]) {
    let _ = voc::presence(&String::from_utf8_lossy(xml));
}

/// Images that are decoded one at a time, such as the files of a folder.
pub trait ImageSource: Send + Sync {
    /// The name of the source, for messages and reports.
    fn name(&self) -> &str;

    /// The number of images.
    fn len(&self) -> usize;

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Decodes image `index` into `photo`, whose memory is reused.
    ///
    /// # Errors
    ///
    /// [`DataError`](crate::DataError) naming the file, if it cannot be read or decoded. The
    /// content of `photo` is then unspecified.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    fn read(&self, index: usize, photo: &mut Photo) -> Result<()>;

    /// The name of image `index`, for logs and feature files: a path relative to the source, or a
    /// number.
    fn image_name(&self, index: usize) -> String;

    /// The label of each image, an index into [`classes`](Self::classes); `None` if the source has
    /// no single label per image.
    fn labels(&self) -> Option<&[u32]>;

    /// The names of the classes; empty if there are none.
    fn classes(&self) -> &[String];

    /// A fingerprint of the images, for resumed runs: names, labels and classes, and whatever the
    /// source knows of the files or pixels without decoding them.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self, String::new())
    }
}

impl<S: ImageSource + ?Sized> ImageSource for std::sync::Arc<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&self, index: usize, photo: &mut Photo) -> Result<()> {
        (**self).read(index, photo)
    }

    fn image_name(&self, index: usize) -> String {
        (**self).image_name(index)
    }

    fn labels(&self) -> Option<&[u32]> {
        (**self).labels()
    }

    fn classes(&self) -> &[String] {
        (**self).classes()
    }

    fn fingerprint(&self) -> Fingerprint {
        (**self).fingerprint()
    }
}
