//! Which images an epoch visits, in which order, and on which device.

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};
use crate::{DataError, Result};

/// One device's part of every epoch, as in PyTorch's `DistributedSampler`: device `rank` takes
/// every `world_size`-th image of the epoch's order, starting at image `rank`. The order is the
/// same on all devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// This device, below `world_size`.
    pub rank: usize,
    /// The number of devices, at least 1.
    pub world_size: usize,
    /// Whether to leave out the last images if they do not divide evenly. Otherwise the first ones
    /// are repeated. PyTorch repeats by default, which counts some images twice in evaluation.
    pub drop_last: bool,
}

impl Shard {
    /// The only device.
    pub const WHOLE: Self = Self {
        rank: 0,
        world_size: 1,
        drop_last: false,
    };

    /// Checks the numbers.
    ///
    /// # Errors
    ///
    /// If `rank` is not below `world_size`.
    pub fn validate(&self) -> Result<()> {
        if self.rank >= self.world_size {
            return Err(DataError::option(
                "rank",
                format!("below the world size, {}", self.world_size),
                self.rank,
            ));
        }
        Ok(())
    }

    /// The number of images per device, out of `images`.
    pub fn len_of(&self, images: usize) -> usize {
        if self.drop_last {
            images / self.world_size
        } else {
            images.div_ceil(self.world_size)
        }
    }

    /// This device's part of `order`.
    fn take(&self, order: &[usize]) -> Vec<usize> {
        let mine = order
            .iter()
            .cycle()
            .skip(self.rank)
            .step_by(self.world_size);
        mine.take(self.len_of(order.len())).copied().collect()
    }
}

/// The images that this device visits in epoch `epoch`, in order.
pub(super) fn order(
    images: usize,
    shuffle: bool,
    seed: u64,
    epoch: usize,
    shard: Shard,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    if shuffle {
        order.shuffle(&mut stream(Purpose::Order, seed, epoch as u64, 0));
    }
    shard.take(&order)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By tests/reference/augment.py:
    /// `DistributedSampler(range(n), world, rank, shuffle=False, drop_last=drop_last)`.
    #[test]
    fn shards_equal_pytorchs_distributed_sampler() {
        #[derive(serde::Deserialize)]
        struct Case {
            images: usize,
            world_size: usize,
            rank: usize,
            drop_last: bool,
            indices: Vec<usize>,
        }
        let golden = include_str!("../../golden/shards.json");
        let cases: Vec<Case> = serde_json::from_str(golden).unwrap();
        assert!(cases.len() > 50);
        for case in cases {
            let shard = Shard {
                rank: case.rank,
                world_size: case.world_size,
                drop_last: case.drop_last,
            };
            let found = order(case.images, false, 0, 0, shard);
            assert_eq!(found, case.indices, "{shard:?} of {}", case.images);
        }
    }
}
