//! Whether a training fits the machine's memory, before it is tried: the system would end the program without a word.

use e2mc_data::Recipe;
use e2mc_eval::HostMemory;
use ssl_methods::BaseMethod;

use crate::Error;

/// Bytes for each value that a convolution puts out: it and what follows it, normalised, rectified and laid out anew, and gradients.
/// Measured: 11 to 16 for ResNet-50 with SwAV's views, by micro-batches of 2 to 8.
const BYTES_PER_ACTIVATION: u64 = 16;
/// Bytes for each parameter: weight, gradient, momentum, and a copy while a step is taken.
const BYTES_PER_PARAMETER: u64 = 16;

/// About how much memory trainings take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    fixed: u64,
    per_image: u64,
}

impl Need {
    /// Of `trainings` side by side.
    pub(crate) fn of(method: &impl BaseMethod, recipe: &Recipe, trainings: u64) -> Self {
        let sizes = recipe.view_sizes();
        let activations = sizes
            .into_iter()
            .map(|size| method.backbone().activations(size, size) as u64);
        Self {
            fixed: trainings * BYTES_PER_PARAMETER * method.num_params() as u64,
            per_image: trainings * BYTES_PER_ACTIVATION * activations.sum::<u64>(),
        }
    }

    fn with(&self, images: usize) -> u64 {
        self.fixed
            .saturating_add(self.per_image.saturating_mul(images as u64))
    }

    /// The largest micro-batch within `bytes` that leaves no single one of `batch`.
    fn micro_batch_in(&self, bytes: u64, batch: usize) -> Option<usize> {
        let fitting = bytes.saturating_sub(self.fixed) / self.per_image.max(1);
        let fitting = usize::try_from(fitting).map_or(batch, |images| images.min(batch));
        (2..=fitting).rev().find(|images| batch % images != 1)
    }

    /// What to tell the user about a network that gets `images` of a batch at once; nothing if they fit.
    ///
    /// # Errors
    /// If the machine has less memory in all.
    pub(crate) fn check(
        &self,
        images: usize,
        batch: usize,
        memory: HostMemory,
    ) -> Result<Option<String>, Error> {
        let need = self.with(images);
        let way_out = |bytes| match self.micro_batch_in(bytes, batch) {
            Some(fitting) => format!("--micro-batch {fitting} would fit"),
            None => "take a GPU, smaller crops or a smaller network".into(),
        };
        if need > memory.total {
            return Err(Error::option(
                "--micro-batch",
                images,
                format!(
                    "fewer images at once: they would take about {}, this machine has {}; {}",
                    gigabytes(need),
                    gigabytes(memory.total),
                    way_out(memory.total / 2)
                ),
            ));
        }
        Ok((need > memory.available).then(|| {
            format!(
                "training may take {} of memory, {} are free; {}",
                gigabytes(need),
                gigabytes(memory.available),
                way_out(memory.available)
            )
        }))
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said_and_what_cannot_is_refused() {
        let need = Need {
            fixed: 2_000_000_000,
            per_image: 1_000_000_000,
        };
        let memory = HostMemory {
            total: 16_000_000_000,
            available: 10_000_000_000,
        };
        assert_eq!(need.check(8, 512, memory).unwrap(), None);
        let note = need.check(9, 512, memory).unwrap().unwrap();
        assert!(note.contains("11.0 GB") && note.contains("--micro-batch 8 "));
        let error = need.check(15, 512, memory).unwrap_err().to_string();
        assert!(error.contains("--micro-batch is 15") && error.contains("--micro-batch 6 "));
        // 6 and 5 would leave one of 61 alone, and so would 4, 3 and 2.
        let error = need.check(15, 61, memory).unwrap_err().to_string();
        assert!(error.contains("smaller network"), "{error}");
        let error = need.check(15, 31, memory).unwrap_err().to_string();
        assert!(error.contains("--micro-batch 4 "), "{error}");
        let huge = Need {
            per_image: u64::MAX,
            ..need
        };
        let error = huge.check(2, 512, memory).unwrap_err().to_string();
        assert!(error.contains("smaller network"), "{error}");
    }
}
