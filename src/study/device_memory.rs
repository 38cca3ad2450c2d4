//! What a training step takes of a GPU's memory. Calculated from what the step keeps; not measured.

use e2mc_data::Recipe;
use e2mc_resnet::Backbone;
use ssl_methods::BaseMethod;

use super::memory::{BYTES_PER_PARAMETER, BYTES_PER_VALUE, gigabytes};
use crate::Plan;
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
    /// The views of the device's share of a batch, and those of a batch that is sent ahead.
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

    /// Of the first device of a plan.
    pub(super) fn of_plan(method: &impl BaseMethod, plan: &Plan, at_once: usize) -> Option<Self> {
        let mut memory = Self::of(method, &plan.recipe, plan.precision, plan.share(), at_once)?;
        // The next batch is sent ahead; a quarter of this if the device has u8.
        memory.views *= 2;
        Some(memory)
    }

    /// The images at once that fit in `bytes`, given the memory of one at once. A tenth stays free,
    /// for the allocator's pages and the criterion.
    pub(super) fn fitting(&self, bytes: u64) -> usize {
        let left = (bytes / 10 * 9).saturating_sub(self.parameters + self.views);
        usize::try_from(left / self.activations.max(1)).unwrap_or(usize::MAX)
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
    use burn::tensor::{Device, Distribution, Tensor};
    use ssl_methods::barlow_twins::{BarlowTwins, BarlowTwinsConfig};
    use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
    use ssl_methods::swav::{Swav, SwavConfig};
    use ssl_methods::vicreg::{VicReg, VicRegConfig};
    use ssl_methods::{RunPosition, accumulated_gradients};

    use super::*;
    use crate::plan::{MethodPlan, equal_pieces};
    use crate::{Preset, StartMethod};

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

    /// The peak of the resident set, in bytes. Linux only.
    fn peak() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Two steps of two pieces on the CPU.
    fn step_twice<M: BaseMethod>(mut method: M, plan: &Plan, at_once: usize) -> [u64; 2] {
        let recipe = &plan.recipe;
        let share = 2 * at_once;
        let memory = DeviceMemory::of(&method, recipe, Precision::F32, share, at_once).unwrap();
        let device = Device::flex().autodiff();
        let mut optimizer = plan.optimizer.rule.init();
        for iteration in 0..2 {
            let view = |&size: &usize| {
                let shape = [share, recipe.channels(), size, size];
                Tensor::<4>::random(shape, Distribution::Default, &device)
            };
            let views = recipe.view_sizes().iter().map(view).collect();
            let position = RunPosition {
                epoch: 0,
                iteration,
            };
            let step =
                accumulated_gradients(&mut method, views, at_once, position, |o| o.loss.clone());
            method = optimizer.step(1e-3, method, step.gradients);
        }
        [memory.total(), peak()]
    }

    /// The calculated memory of a step beside the peak of the resident set on the CPU. One preset
    /// in a process, since the peak is the process's:
    ///
    ///     E2MC_MEMORY=swav-800:4 cargo test -p e2mc --release --lib beside_measured -- \
    ///         --ignored --nocapture
    #[test]
    #[ignore = "takes gigabytes of memory; docs/gpu.md has the results"]
    fn calculated_beside_measured() {
        let setting = std::env::var("E2MC_MEMORY").expect("E2MC_MEMORY=PRESET:IMAGES");
        let (name, at_once) = setting.split_once(':').expect("PRESET:IMAGES");
        let (preset, at_once): (Preset, usize) = (name.parse().unwrap(), at_once.parse().unwrap());
        let (plan, device) = (preset.pretraining(), Device::flex().autodiff());
        let [calculated, measured] = match plan.method {
            MethodPlan::Swav(_) => step_twice(
                Swav::start(&plan, None, 1, &device).unwrap(),
                &plan,
                at_once,
            ),
            MethodPlan::VicReg => step_twice(
                VicReg::start(&plan, None, 1, &device).unwrap(),
                &plan,
                at_once,
            ),
            MethodPlan::SimSiam => step_twice(
                SimSiam::start(&plan, None, 1, &device).unwrap(),
                &plan,
                at_once,
            ),
            MethodPlan::BarlowTwins => step_twice(
                BarlowTwins::start(&plan, None, 1, &device).unwrap(),
                &plan,
                at_once,
            ),
        };
        println!(
            "| `{preset}` | {at_once} | {:.2} | {:.2} | {:.2} |",
            calculated as f64 / 1e9,
            measured as f64 / 1e9,
            measured as f64 / calculated as f64
        );
        assert!(measured < 2 * calculated && calculated < 2 * measured + 200_000_000);
    }

    #[test]
    fn as_many_images_fit_as_the_table_says() {
        let (plan, device) = (Preset::Vicreg1000.pretraining(), Device::flex());
        let method = VicReg::start(&plan, None, 1, &device).unwrap();
        let memory = |precision, images| {
            DeviceMemory::of(&method, &plan.recipe, precision, plan.batch_size, images).unwrap()
        };
        for (precision, gib, expected) in [
            (Precision::F32, 24, 64),
            (Precision::Bf16, 24, 64),
            (Precision::F32, 80, 256),
        ] {
            let bytes = gib << 30;
            let fitting = memory(precision, 1).fitting(bytes);
            let [last, beyond] =
                [fitting, fitting + 1].map(|images| memory(precision, images).total());
            // The maps are rounded to hundredths for each number of images.
            let free = (bytes / 10 * 9) as f64;
            assert!(last as f64 <= free * 1.001 && beyond as f64 > free * 0.999);
            assert_eq!(equal_pieces(plan.batch_size, fitting), Some(expected));
        }
        assert_eq!(memory(Precision::F32, 1).fitting(1 << 30), 0);
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
