//! Steps on several devices and in mixed precision. All devices of Flex are the CPU, so each
//! replica is a thread here.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use e2mc_data::SplitBatch;
use e2mc_loss::{CompactSpace, E2mcLossConfig};
use e2mc_resnet::{BlockKind, ResNet, ResNetConfig, Stem};
use ssl_methods::criterion::CriterionConfig;
use ssl_methods::optim::{LrSchedule, SgdConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};
use ssl_methods::{BaseMethod, MethodOutput, NamedGroup, RunPosition, split_views};

use super::{MicroBatches, StepMetrics, Training, TrainingConfig};
use crate::plan::Precision;

/// Values between -1 and 1 that look random, the same in every call. Those of the process's
/// generator depend on the tests that run at the same time.
fn values(first: usize, count: usize) -> impl Iterator<Item = f32> {
    (first..first + count).map(|i| {
        let noise = (i as f64 * 12.9898).sin() * 43758.5453;
        (2.0 * noise.rem_euclid(1.0) - 1.0) as f32
    })
}

/// Sets weights to [`values`], with the spread that random ones have, and scales and shifts to
/// values near 1. Has the number of values so far.
struct Fixed(usize);

impl ModuleMapper for Fixed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let shape = old.shape();
            let count = shape.num_elements();
            let (center, spread) = match D {
                1 => (1.0, 0.1),
                2 => (0.0, (shape[0] as f32).sqrt().recip()),
                _ => (0.0, (6.0 * shape[0] as f32 / count as f32).sqrt()),
            };
            let values = values(self.0, count).map(|value| center + spread * value);
            self.0 += count;
            let new = Tensor::from_data(TensorData::new(values.collect(), shape), &old.device());
            match old.is_require_grad() {
                true => new.require_grad(),
                false => new,
            }
        })
    }
}

fn training(devices: usize, micro_batch: Option<usize>, precision: Precision) -> Training<VicReg> {
    let device = Device::flex().autodiff();
    let backbone = ResNetConfig::new(BlockKind::Basic, [1; 4])
        .with_width(4)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        });
    let config = VicRegConfig::new(backbone, vec![16, 16]);
    let method = config.init(&device).map(&mut Fixed(0));
    let criterion = CriterionConfig::E2mc(E2mcLossConfig::swav());
    let config = TrainingConfig {
        branch: "e2mc".into(),
        epochs: 1,
        first_epoch: 0,
        steps_per_epoch: 10,
        schedule: LrSchedule::constant(0.001).unwrap(),
        part_rates: Vec::new(),
        criterion: criterion.init(),
        watched_space: CompactSpace::Hypersphere,
        micro_batches: MicroBatches::fixed(micro_batch.unwrap_or(12)),
        precision,
        devices: vec![device; devices],
        sync_batch_norm: false,
        skipped_steps: 2,
    };
    let optimizer = SgdConfig::new().with_momentum(0.9).init();
    Training::new(method, optimizer, config)
}

/// The first half of the images is darker, so that the shares of two devices have different
/// statistics.
fn batch(seed: u64, devices: usize) -> SplitBatch {
    let device = Device::flex();
    let (images, size) = (12, 256);
    let view = |view: usize| {
        let count = images * size;
        let values = values((seed as usize * 2 + view) * count, count);
        let brightness = |i: usize| if i < count / 2 { 0.2 } else { 1.0 };
        let pixels = (values.enumerate()).map(|(i, value)| (0.5 + 0.5 * value) * brightness(i));
        let pixels = TensorData::new(pixels.collect(), [images, 1, 16, 16]);
        Tensor::from_data(pixels, &device)
    };
    SplitBatch {
        shares: split_views(&[view(0), view(1)], devices),
        indices: (0..12).collect(),
        failures: Vec::new(),
    }
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let error = (found / expected - 1.0).abs();
    // The same sums in another order, for a few steps.
    assert!(
        error < 1e-3,
        "{what} is {found}, expected {expected}: off by {error:e}"
    );
}

#[test]
fn two_devices_train_as_one_with_the_same_pieces() {
    let steps = |devices, micro_batch| -> Vec<StepMetrics> {
        let mut training = training(devices, micro_batch, Precision::F32);
        let step = |seed| training.step(batch(seed, devices)).unwrap();
        (0..4).map(step).collect()
    };
    let (one, two) = (steps(1, Some(6)), steps(2, None));
    for (one, two) in one.iter().zip(&two) {
        assert_close(two.loss, one.loss, "loss");
        assert_close(two.gradient_norm, one.gradient_norm, "gradient");
        assert_close(two.entropy, one.entropy, "entropy");
        assert_eq!(two.images, 12);
    }
    assert!(one[0].loss != one[3].loss);
}

#[test]
fn two_synchronized_devices_train_as_one_with_the_whole_batch() {
    let steps = |devices, micro_batch, sync_batch_norm| -> Vec<StepMetrics> {
        let mut training = training(devices, micro_batch, Precision::F32);
        training.config.sync_batch_norm = sync_batch_norm;
        let step = |seed| training.step(batch(seed, devices)).unwrap();
        (0..4).map(step).collect()
    };
    let (one, two) = (steps(1, None, false), steps(2, None, true));
    for (one, two) in one.iter().zip(&two) {
        assert_close(two.loss, one.loss, "loss");
        assert_close(two.gradient_norm, one.gradient_norm, "gradient");
        assert_close(two.entropy, one.entropy, "entropy");
    }
    let alone = steps(2, None, false);
    assert!((alone[0].loss / one[0].loss - 1.0).abs() > 1e-2);
}

#[test]
fn a_step_that_is_not_finite_changes_nothing() {
    for (devices, micro_batch) in [(1, None), (1, Some(3)), (2, None), (2, Some(3))] {
        let mut training = training(devices, micro_batch, Precision::F32);
        training.step(batch(1, devices)).unwrap();
        let record = |training: &Training<VicReg>| {
            let method = training.method().valid();
            method.into_record().into_bytes().unwrap().to_vec()
        };
        let before = record(&training);
        let mut bad = batch(2, devices);
        bad.shares[0][1] = bad.shares[0][1].clone() * f32::NAN;
        let step = training.step(bad).unwrap();
        assert!(step.skipped.is_some() && step.loss.is_nan());
        assert_eq!(training.position().skipped, 1);
        let same = record(&training) == before;
        assert!(same, "{devices} devices, {micro_batch:?}");
        let step = training.step(batch(3, devices)).unwrap();
        assert!(step.skipped.is_none());
        assert!(record(&training) != before);
    }
}

/// VICReg whose second device can fail.
#[derive(Module, Debug)]
struct Fragile {
    method: VicReg,
}

impl BaseMethod for Fragile {
    type Backbone = ResNet;

    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn backbone(&self) -> &ResNet {
        self.method.backbone()
    }

    fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.method.project(images)
    }

    fn param_groups(&self) -> Vec<NamedGroup> {
        self.method.param_groups()
    }

    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        let second = std::thread::current().name() == Some("replica 2");
        assert!(!second || !FAILS.load(Ordering::Relaxed), "device lost");
        self.method.embed(views)
    }

    fn loss(&mut self, embeddings: Vec<Tensor<2>>, position: RunPosition) -> MethodOutput {
        self.method.loss(embeddings, position)
    }
}

/// Whether the second device of [`Fragile`] fails.
static FAILS: AtomicBool = AtomicBool::new(false);

#[test]
fn a_step_in_which_a_device_fails_changes_nothing_and_can_be_repeated() {
    let healthy = training(2, None, Precision::F32);
    let (config, optimizer) = (healthy.config().clone(), SgdConfig::new().init());
    let method = Fragile {
        method: healthy.into_method(),
    };
    let mut training = Training::new(method, optimizer, config);
    let record = |training: &Training<Fragile>| {
        let method = training.method().valid();
        method.into_record().into_bytes().unwrap().to_vec()
    };
    training.step(batch(1, 2)).unwrap();
    let before = (record(&training), training.position());
    FAILS.store(true, Ordering::Relaxed);
    let error = training.step(batch(2, 2)).unwrap_err();
    assert!(error.leaves_a_whole_state());
    let message = error.to_string();
    assert!(
        message.contains("device 2 of 2") && message.contains("device lost"),
        "{message}"
    );
    assert!((record(&training), training.position()) == before);
    FAILS.store(false, Ordering::Relaxed);
    assert!(training.step(batch(2, 2)).unwrap().skipped.is_none());
}

#[test]
fn mixed_precision_trains_close_to_f32() {
    let steps = |devices, precision| -> Vec<StepMetrics> {
        let mut training = training(devices, None, precision);
        let step = |seed| training.step(batch(seed, devices)).unwrap();
        (0..4).map(step).collect()
    };
    for devices in [1, 2] {
        let (exact, mixed) = (
            steps(devices, Precision::F32),
            steps(devices, Precision::Bf16),
        );
        for (exact, mixed) in exact.iter().zip(&mixed) {
            let error = (mixed.loss / exact.loss - 1.0).abs();
            // bf16 has 8 bits, and the distance grows from step to step.
            assert!(
                error < 0.1 && error > 0.0,
                "{devices} devices: off by {error:e}"
            );
            assert!(mixed.skipped.is_none());
        }
    }
}
