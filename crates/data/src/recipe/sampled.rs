use pulp::Arch;
use serde::{Deserialize, Serialize};

use super::Operation;
use crate::Photo;
use crate::augment::{BlurScratch, Image, Resize, ResizeScratch};

/// One view of one image with all random choices drawn. Applying it draws nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledView {
    /// The crop.
    pub resize: Resize,
    /// The operations on it, in this order.
    pub operations: Vec<Operation>,
}

/// Memory for making views, for reuse.
#[derive(Debug, Default)]
pub(crate) struct ViewScratch {
    resize: ResizeScratch,
    blur: BlurScratch,
}

impl SampledView {
    /// The view, not yet normalized.
    ///
    /// # Panics
    ///
    /// If the crop leaves the photo.
    pub fn apply(&self, photo: &Photo) -> Image {
        let mut out = Image::default();
        self.apply_into(photo, &mut ViewScratch::default(), &mut out);
        out
    }

    /// [`apply`](Self::apply) into an image whose memory is reused.
    pub(crate) fn apply_into(&self, photo: &Photo, scratch: &mut ViewScratch, out: &mut Image) {
        let arch = Arch::new();
        // All other operations are symmetric, so the resize can do the mirroring.
        let is_flip = |operation: &&Operation| **operation == Operation::HorizontalFlip;
        let flip = self.operations.iter().filter(is_flip).count() % 2 == 1;
        self.resize
            .apply_into(arch, photo, flip, &mut scratch.resize, out);
        for operation in &self.operations {
            match operation {
                Operation::HorizontalFlip => {}
                Operation::ColorJitter(jitter) => jitter.apply(out),
                Operation::Grayscale => out.grayscale(),
                Operation::GaussianBlur(sigma) => out.gaussian_blur_with(*sigma, &mut scratch.blur),
                Operation::Solarize(threshold) => out.solarize(*threshold),
            }
        }
    }
}
