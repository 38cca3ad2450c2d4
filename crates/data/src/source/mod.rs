//! Where images come from.

mod photo;

pub use photo::Photo;

use crate::DataError;

/// Images that are decoded one at a time, such as the files of a folder.
pub trait ImageSource: Send + Sync {
    /// What the source is, for messages and reports.
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
    /// [`DataError`] naming the file, if it cannot be read or decoded; `photo` then holds nothing of use.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    fn read(&self, index: usize, photo: &mut Photo) -> Result<(), DataError>;

    /// Where image `index` comes from, for logs and feature files: a path relative to the source, or a number.
    fn image_name(&self, index: usize) -> String;

    /// The label of each image, an index into [`classes`](Self::classes); `None` if the source has no single label per image.
    fn labels(&self) -> Option<&[u32]>;

    /// The names of the classes; empty if there are none.
    fn classes(&self) -> &[String];
}
