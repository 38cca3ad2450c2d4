//! What a training step takes of a GPU's memory. Calculated from what the step keeps; not measured.

use e2mc_data::Recipe;
use e2mc_resnet::Backbone;
use ssl_methods::BaseMethod;

use super::memory::{BYTES_PER_PARAMETER, BYTES_PER_VALUE, gigabytes};
use crate::plan::Precision;

/// Mixed precision adds the parameter in bf16.
const BYTES_PER_CAST_PARAMETER: u64 = 2;

/// Bytes that backward needs for each value that a convolution puts out: the centered value of the
/// batch normalization and, for the next convolution, the rectified one.
fn kept_per_activation(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => 2 * BYTES_PER_VALUE,
        Precision::Bf16 => BYTES_PER_VALUE + 2,
    }
}

/// Gradients and intermediates at the largest maps, in hundredths of what is kept.
const BESIDE_KEPT: u64 = 30;

/// Bytes of one device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceMemory {
    /// Parameters, gradients, momentum.
    pub(super) parameters: u64,
    /// The maps of the images that pass the network at once.
    pub(super) activations: u64,
    /// The views of the device's share of a batch.
    pub(super) views: u64,
}

impl DeviceMemory {
    /// Of the first device, which has a share of `share` images and passes `at_once` of them. None
    /// for a backbone that does not know its activations.
    pub(super) fn of(
        method: &impl BaseMethod,
        recipe: &Recipe,
        precision: Precision,
        share: usize,
        at_once: usize,
    ) -> Option<Self> {
        let sizes = recipe.view_sizes();
        let backbone = method.backbone();
        let maps = sizes.iter().map(|&size| backbone.activations(size, size));
        let maps = maps.sum::<Option<usize>>()? as u64;
        let kept = kept_per_activation(precision) * maps * at_once as u64;
        let pixels = sizes.iter().map(|&size| (size * size) as u64).sum::<u64>();
        let bytes_per_parameter = match precision {
            Precision::F32 => BYTES_PER_PARAMETER,
            Precision::Bf16 => BYTES_PER_PARAMETER + BYTES_PER_CAST_PARAMETER,
        };
        Some(Self {
            parameters: bytes_per_parameter * method.num_params() as u64,
            activations: kept + kept / 100 * BESIDE_KEPT,
            views: BYTES_PER_VALUE * pixels * recipe.channels() as u64 * share as u64,
        })
    }

    /// All of them.
    pub(super) fn total(&self) -> u64 {
        self.parameters + self.activations + self.views
    }

    /// What to tell the user before a run.
    pub(super) fn note(&self, at_once: usize) -> String {
        format!(
            "a step takes about {} of a device's memory, as calculated: parameters {}, {at_once} \
             images at once {}, views {}; a smaller micro-batch takes less",
            gigabytes(self.total()),
            gigabytes(self.parameters),
            gigabytes(self.activations),
            gigabytes(self.views),
        )
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use ssl_methods::barlow_twins::BarlowTwinsConfig;
    use ssl_methods::simsiam::SimSiamConfig;
    use ssl_methods::swav::SwavConfig;
    use ssl_methods::vicreg::VicRegConfig;

    use super::*;
    use crate::Preset;

    const AT_ONCE: [usize; 4] = [32, 64, 128, 256];

    fn row(preset: Preset, method: &impl BaseMethod) -> Vec<String> {
        let plan = preset.pretraining();
        [Precision::F32, Precision::Bf16]
            .map(|precision| {
                let cells = AT_ONCE.map(|at_once| {
                    let share = plan.batch_size;
                    let memory =
                        DeviceMemory::of(method, &plan.recipe, precision, share, at_once).unwrap();
                    format!("{:.0}", memory.total() as f64 / 1e9)
                });
                format!("| `{preset}` | {precision} | {} |", cells.join(" | "))
            })
            .to_vec()
    }

    #[test]
    fn the_guides_table_is_what_the_code_calculates() {
        let device = Device::flex();
        let rows = [
            row(Preset::Vicreg1000, &VicRegConfig::paper().init(&device)),
            row(Preset::Swav800, &SwavConfig::paper().init(&device)),
            row(Preset::SimSiam100, &SimSiamConfig::paper().init(&device)),
            row(
                Preset::BarlowTwins,
                &BarlowTwinsConfig::paper().init(&device),
            ),
        ]
        .concat();
        let guide = include_str!("../../docs/gpu.md");
        for row in &rows {
            assert!(
                guide.contains(row),
                "docs/gpu.md needs:\n{}",
                rows.join("\n")
            );
        }
    }
}
