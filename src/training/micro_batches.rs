use serde::{Deserialize, Serialize};
use ssl_methods::leaves_single_image;

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

/// The largest number of images, at most `limit`, for the pieces of `share` images, none of which
/// may be a single image. A number that divides `share` is preferred if it is over half as large:
/// batch normalization then sees equally many images in every piece. None if `limit` is too small.
pub(crate) fn equal_pieces(share: usize, limit: usize) -> Option<usize> {
    let sizes = || (2..=limit.min(share)).rev();
    let largest = sizes().find(|&images| !leaves_single_image(share, images))?;
    let equal = sizes().find(|images| share.is_multiple_of(*images));
    Some(equal.filter(|equal| 2 * equal > largest).unwrap_or(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_equal_where_that_costs_less_than_half() {
        for (share, limit, expected) in [
            (512, 1000, Some(512)),
            (512, 511, Some(256)),
            (512, 100, Some(64)),
            (100, 60, Some(50)),
            // 13 would leave a single image, and no number divides 53.
            (53, 13, Some(12)),
            (4, 1, None),
            (3, 2, None),
        ] {
            assert_eq!(equal_pieces(share, limit), expected, "{share} by {limit}");
        }
    }

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
