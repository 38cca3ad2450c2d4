//! Import of files written by PyTorch, and export of safetensors.

mod common;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::prelude::*;
use common::{Golden, reference, values};
use e2mc_resnet::{
    BatchNorm, BatchNormConfig, BlockKind, Checkpoint, Layout, ResNet, ResNetConfig, Stem,
    infer_resnet_config, save_backbone,
};

/// f32 against f64 outputs.
const TOLERANCE: f64 = 1e-5;

/// A head as a method crate would define it. A tuple has the names of PyTorch's `Sequential`.
type Head = (Linear, BatchNorm, Relu, Linear);

fn head(device: &Device) -> Head {
    (
        LinearConfig::new(16, 8).init(device),
        BatchNormConfig::new(8).init(device),
        Relu::new(),
        LinearConfig::new(8, 4).init(device),
    )
}

fn small_config() -> ResNetConfig {
    ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(2)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        })
}

fn load_backbone(checkpoint: &Checkpoint) -> ResNet {
    let mut model = small_config().init(&Device::flex());
    let report = checkpoint
        .load_into(&mut model, checkpoint.backbone_prefix().unwrap())
        .unwrap();
    // 12 convolutions (conv1, two per block, three shortcuts) and as many normalizations of four
    // tensors.
    assert_eq!(report.loaded.len(), 12 + 4 * 12);
    model
}

fn check_features(model: &ResNet, tolerance: f64) {
    let golden = Golden::open("expected.safetensors");
    let input = golden.tensor::<4>("input", &Device::flex());
    golden.assert_close("features", model.forward(input), tolerance);
}

#[test]
fn every_layout_is_recognized_and_loads() {
    let cases = [
        ("swav_bare.pth.tar", Layout::Swav, "", 0),
        ("swav_state_dict.pth.tar", Layout::Swav, "", 1),
        ("swav_legacy.pth.tar", Layout::Swav, "", 0),
        ("vicreg.pth", Layout::VicReg, "backbone", 0),
        ("simsiam.pth.tar", Layout::SimSiam, "encoder", 0),
        ("torchvision.pth", Layout::Backbone, "", 0),
    ];
    for (file, layout, prefix, outside) in cases {
        let checkpoint = Checkpoint::open(reference(file)).unwrap();
        assert_eq!(checkpoint.layout(), layout, "{file}");
        assert_eq!(checkpoint.backbone_prefix().unwrap(), prefix, "{file}");
        assert_eq!(checkpoint.outside().len(), outside, "{file}");
        check_features(&load_backbone(&checkpoint), TOLERANCE);
    }
}

#[test]
fn half_precision_is_converted() {
    let checkpoint = Checkpoint::open(reference("swav_half.pth.tar")).unwrap();
    let model = load_backbone(&checkpoint);
    assert_eq!(model.conv1.weight.val().dtype(), burn::tensor::DType::F32);
    // The weights were rounded to 11 bits.
    check_features(&model, 3e-3);
}

#[test]
fn heads_load_through_their_prefixes() {
    let device = Device::flex();
    let golden = Golden::open("expected.safetensors");
    let checkpoint = Checkpoint::open(reference("swav_bare.pth.tar")).unwrap();
    let mut head = head(&device);
    let report = checkpoint.load_into(&mut head, "projection_head").unwrap();
    let ignored: Vec<_> = report.ignored.iter().map(|i| &i.name).collect();
    assert_eq!(ignored, ["projection_head.1.num_batches_tracked"]);
    let mut prototypes = LinearConfig::new(4, 6).with_bias(false).init(&device);
    checkpoint.load_into(&mut prototypes, "prototypes").unwrap();

    let (first, norm, relu, last) = head;
    let hidden = relu.forward(norm.forward(first.forward(golden.tensor("features", &device))));
    let embeddings: Tensor<2> = last.forward(hidden);
    golden.assert_close("embeddings", embeddings.clone(), TOLERANCE);
    golden.assert_close("scores", prototypes.forward(embeddings), TOLERANCE);
}

#[test]
fn ignored_tensors_are_reported() {
    let checkpoint = Checkpoint::open(reference("torchvision.pth")).unwrap();
    let mut model = small_config().init(&Device::flex());
    let report = checkpoint.load_into(&mut model, "").unwrap();
    assert_eq!(
        report.to_string(),
        "60 tensors loaded, 14 ignored (fc.bias, fc.weight: classifier or head, not part of the \
         module; \
         12 num_batches_tracked)"
    );
}

#[test]
fn the_architecture_is_inferred() {
    for file in [
        "swav_bare.pth.tar",
        "vicreg.pth",
        "simsiam.pth.tar",
        "torchvision.pth",
    ] {
        let checkpoint = Checkpoint::open(reference(file)).unwrap();
        let expected = small_config().with_stem(Stem::Small {
            kernel: 3,
            stride: 1,
        });
        assert_eq!(
            infer_resnet_config(&checkpoint).unwrap(),
            expected,
            "{file}"
        );
    }
    let checkpoint = Checkpoint::open(reference("bottleneck.safetensors")).unwrap();
    assert_eq!(
        infer_resnet_config(&checkpoint).unwrap(),
        ResNetConfig::new(BlockKind::Bottleneck, [1, 1, 1, 1]).with_width(4)
    );
}

#[test]
fn an_exported_backbone_comes_back_with_its_running_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    let device = Device::flex().autodiff();
    let model = small_config().init(&device);
    // A training step leaves an update of the running statistics pending.
    let input = Golden::open("expected.safetensors").tensor::<4>("input", &device);
    model.forward(input);
    save_backbone(&model, &path).unwrap();
    save_backbone(&model, &path).unwrap(); // replaces the first

    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.layout(), Layout::Backbone);
    let mut loaded = small_config().init(&Device::flex());
    let report = checkpoint.load_into(&mut loaded, "").unwrap();
    assert_eq!(report.ignored, []);
    let values = values(&loaded);
    assert_eq!(values, common::values(&model.valid()));
    assert!(values["bn1.running_mean"].iter().any(|v| *v != 0.0));
    // The folder contains only the file.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn exported_names_are_torchvisions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    save_backbone(&small_config().init(&Device::flex()), &path).unwrap();
    let names = |checkpoint: Checkpoint| -> Vec<String> {
        checkpoint
            .tensors()
            .map(|tensor| tensor.name)
            .filter(|name| !name.starts_with("fc.") && !name.ends_with("num_batches_tracked"))
            .collect()
    };
    assert_eq!(
        names(Checkpoint::open(&path).unwrap()),
        names(Checkpoint::open(reference("torchvision.pth")).unwrap())
    );
}
