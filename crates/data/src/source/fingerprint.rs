use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ImageSource;

/// A fingerprint of a source's images. Stored with a run, it shows whether a resumed run sees the
/// same images.
///
/// Computed without reading the files. A million files take seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The number of images.
    pub images: usize,
    /// The number of classes.
    pub classes: usize,
    /// SHA-256 of the images' names and labels and the classes, hexadecimal.
    pub digest: String,
    /// SHA-256 of the files' sizes and modification times, or of the pixels of images in memory.
    /// Empty if a source knows neither.
    pub content: String,
}

impl Fingerprint {
    /// Computes the fingerprint of `source`; `content` is the digest of its files or pixels.
    pub fn new<S: ImageSource + ?Sized>(source: &S, content: String) -> Self {
        Self {
            images: source.len(),
            classes: source.classes().len(),
            digest: list_digest(source),
            content,
        }
    }

    /// Describes the change from this fingerprint to `now`; `None` if there is none.
    pub fn change(&self, now: &Self) -> Option<String> {
        if self == now {
            return None;
        }
        let counts = |print: &Self| match print.classes {
            0 => format!("{} images", print.images),
            classes => format!("{} images of {classes} classes", print.images),
        };
        let (before, now_counts) = (counts(self), counts(now));
        Some(if before != now_counts {
            format!("{before} then, {now_counts} now")
        } else if self.digest != now.digest {
            format!("{before} as before, but with other names or labels")
        } else {
            format!(
                "{before} with the same names and labels, but the files have other sizes or times \
                 of \
                 change, or other pixels"
            )
        })
    }
}

/// SHA-256 of a source's names, labels and classes, hexadecimal.
pub(super) fn list_digest<S: ImageSource + ?Sized>(source: &S) -> String {
    let mut hash = Sha256::new();
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    text(&source.len().to_string());
    for index in 0..source.len() {
        text(&source.image_name(index));
    }
    for label in source.labels().unwrap_or_default() {
        text(&label.to_string());
    }
    for class in source.classes() {
        text(class);
    }
    hexadecimal(hash)
}

pub(super) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
