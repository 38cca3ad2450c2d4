use serde::{Deserialize, Serialize};

use crate::plan::equal_pieces;

/// The number of images that pass through the network at once, on each device. It can become
/// smaller during a training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroBatches {
    /// In the order of the steps; the first is for step 0.
    sizes: Vec<MicroBatchFrom>,
    halving: bool,
}

/// A number of images that pass through the network at once, from a step on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicroBatchFrom {
    /// The first step, counted from 0.
    pub step: usize,
    /// The number of images, at least 2.
    pub images: usize,
}

impl MicroBatches {
    /// Always `images`.
    pub fn fixed(images: usize) -> Self {
        Self {
            sizes: vec![MicroBatchFrom { step: 0, images }],
            halving: false,
        }
    }

    /// The given sizes. A step that exhausts a device's memory is repeated with half the images,
    /// which then stay.
    ///
    /// # Panics
    /// If the sizes do not begin with step 0.
    pub fn halving(sizes: Vec<MicroBatchFrom>) -> Self {
        assert!(
            sizes.first().is_some_and(|first| first.step == 0),
            "the sizes {sizes:?} must begin with step 0"
        );
        Self {
            sizes,
            halving: true,
        }
    }

    /// The number of images of a step.
    pub fn at(&self, step: usize) -> usize {
        let size = self.sizes.iter().rfind(|size| size.step <= step);
        size.expect("there is a size for step 0").images
    }

    /// All sizes, in the order of the steps.
    pub fn sizes(&self) -> &[MicroBatchFrom] {
        &self.sizes
    }

    /// Halves the size from `step` on, for shares of `share` images. Returns whether it could.
    pub(super) fn halve(&mut self, step: usize, share: usize) -> bool {
        let smaller = equal_pieces(share, self.at(step).min(share) / 2);
        let Some(images) = smaller.filter(|_| self.halving) else {
            return false;
        };
        self.sizes
            .retain(|size| size.step < step || (size.step > step && size.images < images));
        let place = self.sizes.partition_point(|size| size.step < step);
        self.sizes.insert(place, MicroBatchFrom { step, images });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_from_a_step_on_and_keeps_what_was_before() {
        let from = |step, images| MicroBatchFrom { step, images };
        let mut sizes = MicroBatches::halving(vec![from(0, 64)]);
        assert!(sizes.halve(3, 64));
        assert_eq!(sizes.sizes(), [from(0, 64), from(3, 32)]);
        assert_eq!([0, 2, 3, 9].map(|step| sizes.at(step)), [64, 64, 32, 32]);
        assert!(sizes.halve(3, 64));
        assert_eq!(sizes.sizes(), [from(0, 64), from(3, 16)]);
        // A resumed training that fails earlier than before.
        assert!(sizes.halve(2, 64));
        assert_eq!(sizes.sizes(), [from(0, 64), from(2, 32), from(3, 16)]);
        assert!(sizes.halve(0, 64) && sizes.halve(0, 64));
        assert_eq!(sizes.sizes(), [from(0, 16)]);
        assert!(sizes.halve(0, 64) && sizes.halve(0, 64) && sizes.halve(0, 64));
        assert!(!sizes.halve(0, 64));
        assert_eq!(sizes.at(0), 2);
        assert!(!MicroBatches::fixed(64).halve(0, 64));
    }
}
