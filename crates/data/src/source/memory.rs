use sha2::{Digest, Sha256};

use super::ImageSource;
use super::fingerprint::{Fingerprint, hexadecimal};
use crate::Photo;
use crate::{ImageSet, Result};

/// Images in memory; they have 1 or 3 channels, as in the set.
impl ImageSource for ImageSet {
    fn name(&self) -> &str {
        self.name()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn read(&self, index: usize, photo: &mut Photo) -> Result<()> {
        let image = self.image(index);
        let channels = self.channels();
        let target = photo.refill([self.height(), self.width(), channels]);
        for (channel, plane) in image.chunks_exact(image.len() / channels).enumerate() {
            for (pixel, value) in target.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = *value;
            }
        }
        Ok(())
    }

    fn image_name(&self, index: usize) -> String {
        index.to_string()
    }

    fn labels(&self) -> Option<&[u32]> {
        Some(self.labels())
    }

    fn classes(&self) -> &[String] {
        self.classes()
    }

    /// Includes the pixels.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for index in 0..self.len() {
            hash.update(self.image(index));
        }
        Fingerprint::new(self, hexadecimal(hash))
    }
}
