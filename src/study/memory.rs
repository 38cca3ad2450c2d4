//! Checks in advance whether a run fits into the machine's memory. Otherwise the system would kill
//! the program without a message.

use burn::module::Module;
use e2mc_data::{Loader, Recipe};
use e2mc_resnet::{Backbone, ResNet};
use ssl_methods::{BaseMethod, leaves_single_image};

use crate::{Error, HostMemory, Result};

/// Bytes for each output value of a convolution: the value itself, its normalized and rectified
/// forms, the layout for the next convolution, and gradients. Measured: 11 to 16 for ResNet-50 with
/// SwAV's views, at micro-batches of 2 to 8.
const BYTES_PER_ACTIVATION: u64 = 16;
/// Bytes for each parameter: weight, gradient, momentum, and a copy during a step.
pub(super) const BYTES_PER_PARAMETER: u64 = 16;
/// Bytes of an f32.
pub(super) const BYTES_PER_VALUE: u64 = 4;
/// Additional memory of a probe, in percent of its features. A test measures less
/// (crates/eval/tests/memory.rs).
const BESIDE_FEATURES: u64 = 20;

/// The estimated memory of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    fixed: u64,
    per_image: u64,
    /// The features of the probes, not in memory while branches train.
    features: u64,
}

impl Need {
    /// The memory of `trainings` in parallel, each with its own batches from `loader`, and of later
    /// probes on `probed` images.
    pub(super) fn of(
        method: &impl BaseMethod,
        recipe: &Recipe,
        loader: &Loader,
        trainings: usize,
        probed: usize,
    ) -> Self {
        let sizes = recipe.view_sizes();
        let backbone = method.backbone();
        let out_features = backbone.out_features();
        let activations = sizes
            .into_iter()
            .map(|size| backbone.activations(size, size).unwrap_or(0) as u64);
        let trainings = trainings as u64;
        let parameters = BYTES_PER_PARAMETER * method.num_params() as u64;
        let batches = Loader::BATCHES_IN_MEMORY as u64 * loader.batch_bytes();
        Self {
            fixed: trainings * (parameters + batches),
            per_image: trainings * BYTES_PER_ACTIVATION * activations.sum::<u64>(),
            features: feature_bytes(probed as u64 * out_features as u64),
        }
    }

    fn with(&self, images: usize) -> u64 {
        self.fixed
            .saturating_add(self.per_image.saturating_mul(images as u64))
    }

    /// The images at once that fit in `bytes`.
    pub(super) fn fitting(&self, bytes: u64) -> usize {
        let left = bytes.saturating_sub(self.fixed);
        usize::try_from(left / self.per_image.max(1)).unwrap_or(usize::MAX)
    }

    /// The largest micro-batch that fits in `bytes` and does not leave a remainder of one image.
    fn micro_batch_in(&self, bytes: u64, batch: usize) -> Option<usize> {
        (2..=self.fitting(bytes).min(batch))
            .rev()
            .find(|&images| !leaves_single_image(batch, images))
    }

    /// A note for the user about a network that gets `images` of a batch at once. None if all fits.
    ///
    /// # Errors
    ///
    /// If the machine's total memory is smaller.
    pub(super) fn check(
        &self,
        images: usize,
        batch: usize,
        memory: HostMemory,
    ) -> Result<Option<String>> {
        check_fits(
            self.features,
            "train without probes, or use fewer images",
            memory,
        )?;
        let need = self.with(images);
        let way_out = |bytes| match self.micro_batch_in(bytes, batch) {
            Some(fitting) => format!("a micro-batch of {fitting} would fit"),
            None => "use a GPU, smaller crops, a smaller batch or a smaller network".into(),
        };
        if need > memory.total {
            return Err(Error::invalid(
                "micro_batch",
                images,
                format!(
                    "fewer images at once: they would take about {}, this machine has {}; {}",
                    gigabytes(need),
                    gigabytes(memory.total),
                    way_out(memory.total / 2)
                ),
            ));
        }
        let need = need.max(self.features);
        Ok((need > memory.available).then(|| {
            format!(
                "the run may take {} of memory, {} are free; {}",
                gigabytes(need),
                gigabytes(memory.available),
                way_out(memory.available)
            )
        }))
    }
}

/// Checks that probes on features with this many values fit into the machine's memory, before the
/// features are computed or read. Returns a note for the user if less memory is free.
///
/// # Errors
///
/// If they exceed the memory.
pub(crate) fn check_features(values: u64, memory: HostMemory) -> Result<Option<String>> {
    let bytes = feature_bytes(values);
    check_fits(bytes, "use fewer images or crops", memory)?;
    let (need, free) = (gigabytes(bytes), gigabytes(memory.available));
    let note = || format!("features and probes take {need} of memory, {free} are free");
    Ok((bytes > memory.available).then(note))
}

/// Memory of features with this many values and a probe on all of them.
fn feature_bytes(values: u64) -> u64 {
    let features = BYTES_PER_VALUE.saturating_mul(values);
    features.saturating_add(features / 100 * BESIDE_FEATURES)
}

/// Checks that a backbone can be trained with batches of `images` images of `size` pixels.
///
/// # Errors
///
/// If it exceeds the machine's memory.
pub(crate) fn check_training(
    backbone: &ResNet,
    size: usize,
    batch: usize,
    memory: HostMemory,
) -> Result<()> {
    let per_image = BYTES_PER_ACTIVATION * backbone.activations(size, size) as u64;
    let parameters = BYTES_PER_PARAMETER * backbone.num_params() as u64;
    let need = per_image
        .saturating_mul(batch as u64)
        .saturating_add(parameters);
    if need <= memory.total {
        return Ok(());
    }
    let (need, total) = (gigabytes(need), gigabytes(memory.total));
    Err(Error::invalid(
        "batch_size",
        batch,
        format!(
            "fewer images: they would take about {need}, this machine has {total}; use a GPU, \
            smaller crops or a smaller batch"
        ),
    ))
}

fn check_fits(features: u64, way_out: &str, memory: HostMemory) -> Result<()> {
    if features <= memory.total {
        return Ok(());
    }
    let (features, total) = (gigabytes(features), gigabytes(memory.total));
    Err(Error::invalid(
        "probes",
        format!("on features of {features}"),
        format!("features that fit this machine's {total}: {way_out}"),
    ))
}

pub(super) fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need {
        fixed: 2_000_000_000,
        per_image: 1_000_000_000,
        features: 0,
    };
    const MEMORY: HostMemory = HostMemory {
        total: 16_000_000_000,
        available: 10_000_000_000,
    };

    #[test]
    fn what_does_not_fit_is_said_and_what_cannot_is_rejected() {
        let rejected =
            |need: Need, images, batch| need.check(images, batch, MEMORY).unwrap_err().to_string();
        assert_eq!(NEED.check(8, 512, MEMORY).unwrap(), None);
        let note = NEED.check(9, 512, MEMORY).unwrap().unwrap();
        assert!(note.contains("11.0 GB") && note.contains("micro-batch of 8 "));
        let error = rejected(NEED, 15, 512);
        assert!(error.contains("micro_batch is 15") && error.contains("micro-batch of 6 "));
        // 6 and 5 would leave a remainder of one of 61, and so would 4, 3 and 2.
        let error = rejected(NEED, 15, 61);
        assert!(error.contains("smaller network"), "{error}");
        let error = rejected(NEED, 15, 31);
        assert!(error.contains("micro-batch of 4 "), "{error}");
        let huge = Need {
            per_image: u64::MAX,
            ..NEED
        };
        assert!(rejected(huge, 2, 512).contains("smaller network"));
    }

    #[test]
    fn features_that_do_not_fit_are_rejected() {
        let need = Need {
            features: 20_000_000_000,
            ..NEED
        };
        let error = need.check(2, 512, MEMORY).unwrap_err().to_string();
        assert!(
            error.contains("20.0 GB") && error.contains("without probes"),
            "{error}"
        );
        // 1.28 million images of 2048 features are 10.5 GB.
        let note = check_features(1_281_167 * 2048, MEMORY).unwrap().unwrap();
        assert!(
            note.contains("take 12.6 GB") && note.contains("10.0 GB are free"),
            "{note}"
        );
        assert_eq!(check_features(1_000_000, MEMORY).unwrap(), None);
        let error = check_features(2_562_334 * 2048, MEMORY).unwrap_err();
        assert!(error.to_string().contains("25.2 GB"), "{error}");
        assert!(
            error.to_string().contains("fewer images or crops"),
            "{error}"
        );
    }
}
