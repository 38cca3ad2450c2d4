//! Ten steps with views in bf16, beside PyTorch's under autocast: as far from f64 as PyTorch is.
//! tests/reference/mixed_precision.py wrote mixed_precision.json.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::{DType, Distribution};
use e2mc_resnet::{BlockKind, Checkpoint, ResNetConfig};
use serde_json::Value;
use ssl_methods::barlow_twins::{BarlowTwins, BarlowTwinsConfig};
use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
use ssl_methods::swav::{Swav, SwavConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};
use ssl_methods::{BaseMethod, MethodOutput, RunPosition};

use crate::golden::{METHODS, Tensors, distance, json, named_values, path, scalar};
use crate::methods::{Run, load_method, small_stem};
use crate::small::{each_method, random_views};

/// A distance may be this many times the largest that 16 of PyTorch's runs show: rounding to bf16
/// falls on other values in ours.
const MARGIN: f64 = 3.0;

fn check<M: BaseMethod>(run: &Run, method: M, tensors: &Tensors, pytorch: &Value) {
    let name = run.name;
    let device = Device::default().autodiff();
    let images = run.list("images");
    let (mut method, mut optimizer) = (method, run.optimizer());
    let (criterion, mut schedule) = (run.criterion(), run.schedule(&method));
    for (step, pytorch_loss) in pytorch["losses"].as_array().unwrap().iter().enumerate() {
        let position = RunPosition {
            epoch: 0,
            iteration: step,
        };
        let views = tensors.views(&images, step, &device).into_iter();
        let views = views.map(|view| view.cast(DType::BF16)).collect();
        method.before_step();
        let output = method.forward(views, position);
        for z in &output.embeddings {
            assert_eq!(z.dtype(), DType::F32, "{name}");
        }
        let loss = match criterion.forward(&output.embeddings, &output.small_crops) {
            None => output.loss,
            Some(add_on) => output.loss + add_on.loss,
        };
        let expected = run.golden["steps"][step]["loss"].as_f64().unwrap();
        let error = (scalar(loss.clone()) / expected - 1.0).abs();
        let theirs = pytorch_loss["largest"].as_f64().unwrap();
        assert!(
            error < MARGIN * theirs,
            "{name} step {step}: loss off by {error:e}, PyTorch's by {theirs:e}"
        );
        let mut gradients = GradientsParams::from_grads(loss.backward(), &method);
        method.after_gradients(&mut gradients, position);
        if step == 0 {
            let found = named_values(&method, Some(&gradients));
            let prefix = format!("{}.gradient.", run.golden["gradients"].as_str().unwrap());
            compare(&prefix, found, tensors, &pytorch["gradients"]);
        }
        method = optimizer.step(schedule.step(), method, gradients);
    }
    let prefix = format!("{name}.final.");
    let found = named_values(&method.valid(), None);
    compare(&prefix, found, tensors, &pytorch["final"]);
}

/// Compares the distance of each tensor from f64 with PyTorch's.
fn compare(prefix: &str, found: Vec<(String, Vec<f64>)>, tensors: &Tensors, pytorch: &Value) {
    let (mut compared, mut logarithms) = (0, 0.0);
    for (name, found) in found {
        let Some(theirs) = pytorch[&name]["largest"].as_f64() else {
            continue; // inert
        };
        let error = distance(&found, &tensors.get(&format!("{prefix}{name}")).1);
        assert!(
            error <= MARGIN * theirs,
            "{prefix}{name} is off by {error:e}, PyTorch's by {theirs:e}"
        );
        if theirs > 0.0 && error > 0.0 {
            logarithms += (error / theirs).ln();
            compared += 1;
        }
    }
    assert!(compared > 20, "{prefix}: {compared} tensors");
    let typical = (logarithms / f64::from(compared)).exp();
    println!("{prefix}: {typical:.2} of PyTorch's largest distance");
    // Far less would not be bf16, more a rounding that PyTorch does not have.
    assert!(
        (0.2..1.5).contains(&typical),
        "{prefix}: typically {typical} of PyTorch's largest distance"
    );
}

#[test]
fn ten_steps_in_bf16_are_as_close_to_f64_as_pytorchs_autocast() {
    let golden = json(METHODS, "trajectory.json");
    let autocast = json(METHODS, "mixed_precision.json");
    let tensors = Tensors::open(METHODS);
    let device = Device::default().autodiff();
    let runs = autocast.as_object().unwrap();
    assert_eq!(runs.len(), 6);
    for (name, pytorch) in runs {
        let golden = &golden[name];
        let run = Run {
            name,
            golden,
            first_step: f64::INFINITY,
            least_spread: 0.0,
        };
        let checkpoint = Checkpoint::open(path(METHODS, golden["init"].as_str().unwrap())).unwrap();
        load_method!(golden, checkpoint, small_stem, device, |method| check(
            &run, method, &tensors, pytorch
        ));
    }
}

#[test]
fn parameters_gradients_and_statistics_stay_f32() {
    each_method!(|method, sizes, device| {
        let mut method = method;
        let views = random_views(6, sizes, &device).into_iter();
        let views = views.map(|view| view.cast(DType::BF16)).collect();
        let step = method.step(views, RunPosition::default(), |output| output.loss.clone());
        assert_eq!(step.loss.dtype(), DType::F32);
        let mut types = Types {
            gradients: &step.gradients,
            seen: 0,
        };
        method.valid().visit(&mut types);
        assert!(types.seen > 20, "{}", types.seen);
    });
}

struct Types<'a> {
    gradients: &'a GradientsParams,
    seen: usize,
}

impl burn::module::ModuleVisitor for Types<'_> {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
        assert_eq!(param.val().dtype(), DType::F32);
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            assert_eq!(gradient.dtype(), DType::F32);
            self.seen += 1;
        }
    }
}

#[test]
fn the_imagenet_stem_and_bottlenecks_have_gradients_in_bf16() {
    let device = Device::default().autodiff();
    let backbone = ResNetConfig::new(BlockKind::Bottleneck, [1, 1, 1, 1]).with_width(4);
    let config = VicRegConfig::new(backbone, vec![24, 20]);
    let mut exact = config.init(&device);
    let mut mixed = exact.valid().train();
    let view = || Tensor::<4>::random([8, 3, 64, 64], Distribution::Default, &device);
    let views = vec![view(), view()];
    let loss = |output: &MethodOutput| output.loss.clone();
    let in_bf16 = views.iter().map(|view| view.clone().cast(DType::BF16));
    let step = mixed.step(in_bf16.collect(), RunPosition::default(), loss);
    let expected = exact.step(views, RunPosition::default(), loss);
    let error = (scalar(step.loss) / scalar(expected.loss) - 1.0).abs();
    assert!(error < 0.05 && error > 0.0, "loss off by {error:e}");
    let found = named_values(&mixed, Some(&step.gradients));
    let expected = named_values(&exact, Some(&expected.gradients));
    assert_eq!(found.len(), expected.len());
    let (name, found) = &found[0];
    assert_eq!(name, "backbone.conv1.weight");
    let error = distance(found, &expected[0].1);
    // Chance would be above 1. PyTorch's own bf16 is off by as much on networks of this size.
    assert!(error < 0.8 && error > 0.0, "{name} is off by {error:e}");
}
