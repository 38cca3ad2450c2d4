//! A whole step on a CubeCL device, beside the same on the CPU: every method, criterion and
//! optimizer. On Mesa's software Vulkan driver, where `.ci/gpu` runs it without a GPU, each new
//! shape takes seconds: so all pieces and shares have one size.

#[allow(dead_code)]
#[path = "suite/golden.rs"]
mod golden;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "suite/small.rs"]
mod small;

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::prelude::*;
use e2mc_loss::E2mcLossConfig;
use golden::{distance, named_values, scalar};
use small::{backbone, random_views};
use ssl_methods::barlow_twins::BarlowTwinsConfig;
use ssl_methods::criterion::{
    Criterion, CriterionConfig, MmcrConfig, UniformityConfig, VcRegConfig,
};
use ssl_methods::optim::{LarcConfig, LarsConfig, SgdConfig};
use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
use ssl_methods::swav::SwavConfig;
use ssl_methods::vicreg::VicRegConfig;
use ssl_methods::{
    BaseMethod, MethodOutput, Replicas, RunPosition, Step, accumulated_gradients,
    replicated_gradients, split_views,
};

/// Images of a piece, a share, and the smaller batch.
const PIECE: usize = 4;
/// Largest relative distance of a tensor of gradients or weights. Products in f32 have other orders
/// of summation; a mistake is far above.
const TOLERANCE: f64 = 1e-3;
/// Largest distance of a loss, of its size or of 1.
const LOSS: f64 = 1e-5;

fn cpu() -> Device {
    Device::flex().autodiff()
}

/// The GPU backend of this build; CUDA if there are several.
fn gpu() -> Device {
    Device::default().autodiff()
}

/// What `draw` draws on the CPU, the same in every run. Alone, since Burn's generator belongs to
/// the whole process.
fn drawn<T>(seed: u64, draw: impl FnOnce(&Device) -> T) -> T {
    static DRAWING: Mutex<()> = Mutex::new(());
    let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Device::flex();
    host.seed(seed);
    draw(&host)
}

/// A method with random weights. Burn draws them at their first use.
fn method<M: BaseMethod>(init: impl FnOnce(&Device) -> M) -> M {
    drawn(0, |_| {
        let method = init(&cpu());
        named_values(&method, None);
        method
    })
}

/// `n` random images for each size, the same on each device.
fn views(n: usize, sizes: &[usize], seed: u64) -> [Vec<Tensor<4>>; 2] {
    let views = drawn(seed, |host| random_views(n, sizes, host));
    [cpu(), gpu()].map(|device| {
        let moved = views.iter().map(|view| view.clone().to_device(&device));
        moved.map(Tensor::autodiff).collect()
    })
}

/// The method on another device, with running statistics of its own.
fn copy<M: BaseMethod>(method: &M, device: &Device) -> M {
    method.valid().to_device(device).train()
}

fn total(output: &MethodOutput, criterion: &Criterion) -> Tensor<1> {
    match criterion.forward(&output.embeddings, &output.small_crops) {
        Some(add_on) => output.loss.clone() + add_on.loss,
        None => output.loss.clone(),
    }
}

fn assert_close(name: &str, found: &[(String, Vec<f64>)], expected: &[(String, Vec<f64>)]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    assert!(found.len() > 20, "{name}: only {} tensors", found.len());
    let norm = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>().sqrt();
    let largest = expected.iter().map(|(_, x)| norm(x)).fold(0.0, f64::max);
    for ((path, found), (_, expected)) in found.iter().zip(expected) {
        let error = distance(found, expected);
        let size = norm(expected);
        // Biases before a normalization have no gradient but rounding.
        assert!(
            error < TOLERANCE || error * size < 1e-6 * largest,
            "{name}: {path} is off by {error:e} of {size:e}"
        );
    }
}

fn assert_same_step<M: BaseMethod>(name: &str, found: (&M, Step), expected: (&M, Step)) {
    let ((found, step), (expected, reference)) = (found, expected);
    let losses = [step.loss, reference.loss].map(scalar);
    // The terms of a small loss may be larger: SimSiam's is a mean of cosines.
    let error = (losses[0] - losses[1]).abs() / losses[1].abs().max(1.0);
    println!("{name}: losses off by {error:.1e}");
    assert!(error < LOSS, "{name}: losses {losses:?}, off by {error:e}");
    let gradients = [(found, step.gradients), (expected, reference.gradients)]
        .map(|(method, gradients)| named_values(method, Some(&gradients)));
    assert_close(&format!("{name}, gradients"), &gradients[0], &gradients[1]);
    let statistics = [found, expected].map(|method| named_values(&method.valid(), None));
    assert_close(&format!("{name}, values"), &statistics[0], &statistics[1]);
}

/// No criterion, and E2MC in both spaces.
fn with_e2mc() -> Vec<CriterionConfig> {
    vec![
        CriterionConfig::None,
        CriterionConfig::E2mc(E2mcLossConfig::swav()),
        CriterionConfig::E2mc(E2mcLossConfig::vicreg()),
    ]
}

/// The other criteria.
fn with_others() -> Vec<CriterionConfig> {
    vec![
        CriterionConfig::VcReg(VcRegConfig::new()),
        CriterionConfig::Uniformity(UniformityConfig::new()),
        CriterionConfig::Mmcr(MmcrConfig::new()),
    ]
}

/// Every criterion, with one piece, with two, and with two replicas.
fn check<M: BaseMethod>(method: &M, sizes: &[usize]) {
    check_criteria(method, sizes, with_e2mc());
    check_criteria(method, sizes, with_others());
    check_replicas(method, sizes);
}

fn check_criteria<M: BaseMethod>(method: &M, sizes: &[usize], criteria: Vec<CriterionConfig>) {
    for config in criteria {
        let criterion = config.init();
        for n in [PIECE, 2 * PIECE] {
            let name = format!("{} with {config:?}, batch {n}", method.name());
            let [on_cpu, on_gpu] = views(n, sizes, 1);
            let position = RunPosition::default();
            let step = |method: &mut M, views: Vec<Tensor<4>>| {
                accumulated_gradients(method, views, PIECE, position, |output| {
                    total(output, &criterion)
                })
            };
            let (mut reference, mut found) = (copy(method, &cpu()), copy(method, &gpu()));
            let expected = step(&mut reference, on_cpu);
            let of_step = step(&mut found, on_gpu);
            assert_same_step(&name, (&found, of_step), (&reference, expected));
        }
        println!("{} with {config:?}", method.name());
    }
}

fn check_replicas<M: BaseMethod>(method: &M, sizes: &[usize]) {
    let criterion = CriterionConfig::E2mc(E2mcLossConfig::swav());
    let criterion = criterion.init();
    let [on_cpu, on_gpu] = views(2 * PIECE, sizes, 2);
    let position = RunPosition::default();
    for sync_batch_norm in [false, true] {
        let step = |device: Device, views: Vec<Tensor<4>>| {
            let mut method = copy(method, &device);
            let replicas = Replicas {
                devices: &[device.clone(), device],
                micro_batch: PIECE,
                sync_batch_norm,
            };
            let shares = split_views(&views, 2);
            let step = replicated_gradients(&mut method, shares, &replicas, position, |output| {
                total(output, &criterion)
            });
            (method, step.unwrap())
        };
        let (reference, expected) = step(cpu(), on_cpu.clone());
        let (found, of_step) = step(gpu(), on_gpu.clone());
        let name = format!(
            "{}, two replicas, synchronized: {sync_batch_norm}",
            method.name()
        );
        assert_same_step(&name, (&found, of_step), (&reference, expected));
        println!("{name}");
    }
}

#[test]
fn vicreg() {
    let config = VicRegConfig::new(backbone(), vec![24, 20]);
    check(&method(|device| config.init(device)), &[16, 16]);
}

#[test]
fn swav() {
    let config = SwavConfig::new(backbone(), vec![24, 20], 10);
    check(&method(|device| config.init(device)), &[16, 16, 8, 8]);
}

fn small_simsiam() -> SimSiam {
    let config = SimSiamConfig::new(backbone(), vec![24, 20], vec![8]);
    method(|device| config.init(device))
}

/// The only steps that `.ci/run` has time for.
#[test]
fn simsiam_with_e2mc() {
    check_criteria(&small_simsiam(), &[16, 16], with_e2mc());
}

#[test]
fn simsiam_with_others() {
    let method = small_simsiam();
    check_criteria(&method, &[16, 16], with_others());
    check_replicas(&method, &[16, 16]);
}

#[test]
fn barlow_twins() {
    let config = BarlowTwinsConfig::new(backbone(), vec![24, 20]);
    check(&method(|device| config.init(device)), &[16, 16]);
}

#[test]
fn optimizers_take_the_same_steps() {
    let config = VicRegConfig::new(backbone(), vec![24, 20]);
    let start = method(|device| config.init(device));
    let sgd = || SgdConfig::new().with_momentum(0.9).with_weight_decay(1e-2);
    for rule in ["sgd", "larc", "lars"] {
        let ends = [cpu(), gpu()].map(|device| {
            let mut optimizer = match rule {
                "sgd" => sgd().init(),
                "larc" => LarcConfig::new(sgd()).init(),
                _ => LarsConfig::new(sgd()).init(),
            };
            let mut method = copy(&start, &device);
            for iteration in 0..2 {
                let position = RunPosition {
                    epoch: 0,
                    iteration,
                };
                let [on_cpu, on_gpu] = views(PIECE, &[16, 16], iteration as u64);
                let views = if device == cpu() { on_cpu } else { on_gpu };
                let step = method.step(views, position, |output| output.loss.clone());
                method = optimizer.step(1e-3, method, step.gradients);
            }
            named_values(&method.valid(), None)
        });
        let before = named_values(&start.valid(), None);
        assert!(before != ends[0], "{rule}");
        assert_close(rule, &ends[1], &ends[0]);
    }
}
