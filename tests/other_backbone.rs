//! A backbone that is no ResNet: every method trains it, and a study runs with it.

mod common;

use std::sync::Arc;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Distribution, Tensor};
use e2mc::eval::{EvalError, extract_features};
use e2mc::methods::barlow_twins::BarlowTwinsConfig;
use e2mc::methods::optim::SgdConfig;
use e2mc::methods::simsiam::SimSiamConfig;
use e2mc::methods::swav::SwavConfig;
use e2mc::methods::vicreg::VicRegConfig;
use e2mc::methods::{BaseMethod, RunPosition};
use e2mc::resnet::{Backbone, Checkpoint, ResNetConfig};
use e2mc::{Preset, RunOptions, Silent, Study};

const FEATURES: usize = 24;

/// The beginning of a ViT: patches of 4 x 4 pixels become tokens, whose mean is the output.
#[derive(Module, Debug)]
struct Patches {
    embedding: Conv2d,
    norm: LayerNorm,
}

impl Patches {
    fn new(device: &Device) -> Self {
        Self {
            embedding: Conv2dConfig::new([1, FEATURES], [4, 4])
                .with_stride([4, 4])
                .init(device),
            norm: LayerNormConfig::new(FEATURES).init(device),
        }
    }
}

impl Backbone for Patches {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let tokens = self.embedding.forward(images);
        let [n, d, h, w] = tokens.dims();
        let tokens = tokens.reshape([n, d, h * w]).swap_dims(1, 2);
        gelu(self.norm.forward(tokens)).mean_dim(1).squeeze_dim(1)
    }

    fn in_channels(&self) -> usize {
        1
    }

    fn out_features(&self) -> usize {
        FEATURES
    }
}

fn resnet() -> ResNetConfig {
    ResNetConfig::resnet18()
}

/// Trains a method, saves it, loads the file into `fresh`, and extracts features.
fn train<M: BaseMethod<Backbone = Patches>>(mut method: M, mut fresh: M, device: &Device) {
    let name = method.name();
    let views = [16; 2].map(|size| {
        let standard = Distribution::Normal(0.0, 1.0);
        Tensor::<4>::random([12, 1, size, size], standard, device)
    });
    let weights = |method: &M| {
        let patches = method.backbone().embedding.weight.val();
        patches.into_data().try_to_vec::<f32>().unwrap()
    };
    let before = weights(&method);
    let mut optimizer = SgdConfig::new().init();
    let mut losses = Vec::new();
    for iteration in 0..10 {
        let position = RunPosition {
            epoch: 0,
            iteration,
        };
        let step = method.step(views.to_vec(), position, |output| output.loss.clone());
        losses.push(step.loss.into_scalar::<f32>());
        method = optimizer.step(1e-3, method, step.gradients);
    }
    assert!(losses[9] < losses[0], "{name}: {losses:?}");
    assert_ne!(weights(&method), before, "{name}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("method.safetensors");
    method.save(&file).unwrap();
    let checkpoint = Checkpoint::open(&file).unwrap();
    checkpoint.load_into(&mut fresh, "").unwrap();
    assert_eq!(weights(&fresh), weights(&method), "{name}");

    let images = views[0].clone().inner();
    let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
    let batch = || Ok::<_, EvalError>((images.clone(), labels.clone()));
    let features = extract_features(method.backbone(), [batch()], 3, |_| ()).unwrap();
    assert_eq!((features.len(), features.dims()), (12, FEATURES), "{name}");
    let expected = method.backbone().valid().forward(images.clone());
    let expected = expected.into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(features.values(), expected, "{name}");
}

#[test]
fn every_method_trains_another_backbone() {
    let device = Device::flex().autodiff();
    device.seed(0);
    let patches = || Patches::new(&device);
    let projector = || vec![32, 16];
    macro_rules! train {
        ($config:expr) => {
            let config = $config;
            let new = || config.init_with_backbone(patches(), &device);
            train(new(), new(), &device);
        };
    }
    train!(SwavConfig::new(resnet(), projector(), 10));
    train!(VicRegConfig::new(resnet(), projector()));
    train!(SimSiamConfig::new(resnet(), projector(), vec![8]));
    train!(BarlowTwinsConfig::new(resnet(), projector()));
}

#[test]
fn a_study_runs_with_another_backbone() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    common::write_images(&images);
    let mut plan = common::short(Preset::VicregSmall.pretraining(), &images);
    plan.epochs = 1;
    let branches = plan.branches.len();
    let config = VicRegConfig::new(resnet(), vec![32, 16]);
    let study = Study::new(
        plan,
        RunOptions::default(),
        Arc::new(Silent),
        move |device, _| Ok(config.init_with_backbone(Patches::new(device), device)),
    );
    let output = folder.path().join("run");
    let results = study.unwrap().run(&output).unwrap();
    assert_eq!(results.backbones.len(), branches);
    for backbone in results.backbones {
        let file = format!("backbone-{}.safetensors", backbone.name);
        Checkpoint::open(output.join(file))
            .unwrap()
            .load_into(&mut Patches::new(&Device::flex()), "")
            .unwrap();
    }
}
