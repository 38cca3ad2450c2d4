//! Reads one image of an epoch, or a replacement.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Photo;
use crate::random::{Purpose, stream, up_to};
use crate::source::ImageSource;

/// Number of replacements that are tried for an unreadable image.
const REPLACEMENTS: usize = 16;

/// An image that could not be read in an epoch and was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRead {
    /// The image's index in the source.
    pub index: usize,
    /// Its name, as in [`ImageSource::image_name`].
    pub name: String,
    /// Why it could not be read.
    pub reason: String,
}

impl fmt::Display for FailedRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "image {} ({}) left out: {}",
            self.index, self.name, self.reason
        )
    }
}

/// Reads image `index` into `photo`. If it cannot be read, tries others, which
/// `(seed, epoch, index)` decide. Returns the index of the image that was read, if any, and adds
/// the unreadable ones to `failures`.
pub(super) fn read_or_replace(
    source: &dyn ImageSource,
    seed: u64,
    epoch: usize,
    index: usize,
    photo: &mut Photo,
    failures: &mut Vec<FailedRead>,
) -> Option<usize> {
    let mut read = |index: usize| match source.read(index, photo) {
        Ok(()) => Some(index),
        Err(error) => {
            failures.push(FailedRead {
                index,
                name: source.image_name(index),
                reason: error.to_string(),
            });
            None
        }
    };
    read(index).or_else(|| {
        let mut rng = stream(Purpose::Replacement, seed, epoch as u64, index as u64);
        (0..REPLACEMENTS).find_map(|_| read(up_to(&mut rng, source.len() - 1)))
    })
}
