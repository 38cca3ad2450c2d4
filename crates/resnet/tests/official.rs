//! Every published layout is recognized and loaded, with the optimizer's momentum under the right
//! names.

mod common;

use burn::prelude::*;
use burn::tensor::DType;
use common::{Golden, reference};
use e2mc_resnet::checkpoint::{Format, IgnoreReason};
use e2mc_resnet::{
    BlockKind, Checkpoint, CheckpointError, Layout, ResNet, ResNetConfig, Stem, infer_resnet_config,
};

/// f32 against f64 outputs.
const F32: f64 = 1e-5;
/// Weights rounded to 11 and to 8 bits, through nine convolutions.
const F16: f64 = 3e-3;
const BF16: f64 = 3e-2;

fn open(file: &str) -> Checkpoint {
    Checkpoint::open(reference(&format!("official/{file}"))).unwrap()
}

fn config() -> ResNetConfig {
    ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(2)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        })
}

fn backbone(checkpoint: &Checkpoint) -> ResNet {
    let mut model = config().init(&Device::flex());
    let prefix = checkpoint.backbone_prefix().unwrap();
    let report = checkpoint.load_into(&mut model, prefix).unwrap();
    // 12 convolutions (conv1, two per block, three shortcuts) and as many normalizations of four
    // tensors.
    assert_eq!(report.loaded.len(), 12 + 4 * 12);
    assert!(report.missing.is_empty() && report.misshapen.is_empty());
    model
}

#[test]
fn every_layout_is_recognized_and_computes_what_pytorch_does() {
    use Format::{Legacy, Safetensors, Zip};
    use Layout::*;
    let golden = Golden::open("official_features.safetensors");
    let cases = [
        (
            "vicreg_full.pth",
            Zip,
            VicReg,
            "backbone",
            Some(1000),
            "vicreg",
            F32,
        ),
        (
            "vicreg_backbone.pth",
            Zip,
            Backbone,
            "",
            None,
            "vicreg",
            F32,
        ),
        (
            "vicreg_f64.pth",
            Zip,
            VicReg,
            "backbone",
            Some(1000),
            "vicreg",
            F32,
        ),
        (
            "vicreg_bf16.pth",
            Legacy,
            VicReg,
            "backbone",
            Some(1000),
            "vicreg",
            BF16,
        ),
        (
            "vicreg_f16.safetensors",
            Safetensors,
            VicReg,
            "backbone",
            Some(1000),
            "vicreg",
            F16,
        ),
        (
            "lightning.ckpt",
            Zip,
            VicReg,
            "backbone",
            Some(99),
            "vicreg",
            F32,
        ),
        ("swav.pth.tar", Zip, Swav, "", Some(800), "swav", F32),
        (
            "swav_bare_legacy.pth.tar",
            Legacy,
            Swav,
            "",
            None,
            "swav",
            F32,
        ),
        ("swav.safetensors", Safetensors, Swav, "", None, "swav", F32),
        (
            "simsiam.pth.tar",
            Zip,
            SimSiam,
            "encoder",
            Some(100),
            "simsiam",
            F32,
        ),
        (
            "moco.pth.tar",
            Zip,
            Moco,
            "encoder_q",
            Some(200),
            "moco",
            F32,
        ),
        (
            "moco_query_only.pth.tar",
            Zip,
            Moco,
            "encoder_q",
            Some(200),
            "moco",
            F32,
        ),
        (
            "barlow_twins.pth",
            Zip,
            BarlowTwins,
            "backbone",
            Some(1000),
            "barlow_twins",
            F32,
        ),
        (
            "timm.pth.tar",
            Zip,
            Backbone,
            "",
            Some(299),
            "barlow_twins",
            F32,
        ),
        (
            "timm.safetensors",
            Safetensors,
            Backbone,
            "",
            None,
            "barlow_twins",
            F32,
        ),
    ];
    for (file, format, layout, prefix, epoch, method, tolerance) in cases {
        let checkpoint = open(file);
        assert_eq!(checkpoint.format(), format, "{file}");
        assert_eq!(checkpoint.layout(), layout, "{file}");
        assert_eq!(checkpoint.backbone_prefix().unwrap(), prefix, "{file}");
        assert_eq!(checkpoint.epoch(), epoch, "{file}");
        // Shapes do not show strides.
        let found = infer_resnet_config(&checkpoint).unwrap();
        assert_eq!(found.with_stem(config().stem), config(), "{file}");
        let model = backbone(&checkpoint);
        assert_eq!(model.conv1.weight.val().dtype(), DType::F32, "{file}");
        let features = model.forward(golden.tensor("input", &Device::flex()));
        golden.assert_close(&format!("{method}.features"), features, tolerance);
    }
}

#[test]
fn momentum_comes_under_the_names_of_the_parameters() {
    let golden = Golden::open("official_momentum.safetensors");
    for (file, method, trained) in [
        ("vicreg_full.pth", "vicreg", 36 + 4 + 4 + 1),
        ("swav.pth.tar", "swav", 36 + 4 + 2 + 1),
        // Of the head's last layers, only the weight is trained. The bias is fixed, and the
        // normalization has no parameters.
        ("simsiam.pth.tar", "simsiam", 36 + 7 + 6),
        // The momentum encoder is not trained.
        ("moco.pth.tar", "moco", 36 + 4),
        ("barlow_twins.pth", "barlow_twins", 36 + 3 + 4),
    ] {
        let momentum = open(file).optimizer_momentum().unwrap();
        assert_eq!(momentum.len(), trained, "{file}");
        assert_eq!(golden.names(&format!("{method}.")).len(), trained, "{file}");
        assert_eq!(momentum[0].0.rsplit('.').nth(1), Some("conv1"), "{file}");
        for (name, data) in momentum {
            let expected = golden.data(&format!("{method}.{name}"));
            assert_eq!(&data, expected, "{file}: {name}");
        }
    }
    // Lightning lists its optimizers.
    let momentum = open("lightning.ckpt").optimizer_momentum().unwrap();
    assert_eq!(momentum.len(), 45);
    for (name, data) in momentum {
        assert_eq!(&data, golden.data(&format!("vicreg.{name}")), "{name}");
    }
    for file in ["vicreg_backbone.pth", "timm.pth.tar", "swav.safetensors"] {
        assert_eq!(open(file).optimizer_momentum().unwrap(), [], "{file}");
    }
}

#[test]
fn the_summary_says_what_was_found() {
    let summary = open("simsiam.pth.tar").summary();
    assert_eq!(
        summary.to_string(),
        "SimSiam, ResNet of [1, 1, 1, 1] basic blocks, width 2, 3x3 stem, 1 channel, epoch 100 \
         (torch.save, zip): 5316 parameters"
    );
    assert_eq!(summary.arch.as_deref(), Some("resnet18"));
    assert!(summary.momentum);
    let names: Vec<_> = summary.parts.iter().map(|part| &part.name).collect();
    assert_eq!(names, ["backbone", "encoder.fc", "predictor"]);
    let moco = open("moco.pth.tar").summary();
    let names: Vec<_> = moco.parts.iter().map(|part| &part.name).collect();
    assert_eq!(
        names,
        [
            "backbone",
            "encoder_k",
            "encoder_q.fc",
            "queue",
            "queue_ptr"
        ]
    );
    assert!(!open("vicreg_backbone.pth").summary().momentum);
}

#[test]
fn a_backbone_is_imported_with_its_configuration() {
    let import = open("swav.pth.tar")
        .import_backbone(&Device::flex())
        .unwrap();
    assert_eq!(import.config.out_features(), 16);
    let heads = |reason| {
        import
            .report
            .ignored
            .iter()
            .filter(move |i| i.reason == reason)
    };
    assert_eq!(heads(IgnoreReason::Counter).count(), 13);
    // Two linear layers of two tensors, a normalization of four, and the prototypes.
    assert_eq!(heads(IgnoreReason::Head).count(), 4 + 4 + 1);
    assert_eq!(heads(IgnoreReason::NoPlace).count(), 0);
}

#[test]
fn the_user_may_name_the_layout() {
    let moco = open("moco.pth.tar");
    let momentum_encoder = moco.with_backbone_prefix("encoder_k").unwrap();
    assert_eq!(momentum_encoder.layout(), Layout::Prefixed);
    backbone(&momentum_encoder);

    let twins = open("barlow_twins.pth")
        .with_layout(Layout::VicReg)
        .unwrap();
    assert_eq!(twins.backbone_prefix().unwrap(), "backbone");
    backbone(&twins);

    let error = open("swav.pth.tar")
        .with_layout(Layout::SimSiam)
        .unwrap_err();
    assert!(matches!(error, CheckpointError::WrongLayout { .. }));
    assert!(
        error
            .to_string()
            .contains("swav.pth.tar does not have the layout SimSiam; its names show: SwAV")
    );
    let error = open("swav.pth.tar")
        .with_backbone_prefix("encoder")
        .unwrap_err();
    assert!(
        error.to_string().contains("ResNet under \"encoder\""),
        "{error}"
    );
}

#[test]
fn a_partial_load_is_made_only_when_asked_for() {
    let checkpoint = open("vicreg_backbone.pth");
    let deeper = ResNetConfig::new(BlockKind::Basic, [1, 2, 1, 1])
        .with_width(2)
        .with_in_channels(3)
        .with_stem(config().stem);
    let mut model = deeper.init(&Device::flex());
    assert!(checkpoint.load_into(&mut model, "").is_err());
    let report = checkpoint.load_partial_into(&mut model, "").unwrap();
    assert_eq!(report.loaded.len(), 59);
    assert_eq!(report.missing.len(), 2 + 8);
    assert_eq!(report.misshapen[0].name, "conv1.weight");
    assert_eq!(
        report.to_string(),
        "59 tensors loaded, 12 ignored (12 num_batches_tracked), 10 missing (layer2.1.bn1.bias, \
         layer2.1.bn1.running_mean, layer2.1.bn1.running_var, layer2.1.bn1.weight, \
         layer2.1.bn2.bias, \
         layer2.1.bn2.running_mean, layer2.1.bn2.running_var, layer2.1.bn2.weight, 2 more), 1 \
         misshapen \
         (conv1.weight (expected [2, 3, 3, 3], found [2, 1, 3, 3]))"
    );
    let loaded = common::values(&model)["layer1.0.conv1.weight"].clone();
    let file = checkpoint.read("layer1.0.conv1.weight").unwrap();
    assert_eq!(loaded, file.try_into_vec::<f32>().unwrap());
}

#[test]
fn momentum_of_another_model_is_rejected() {
    // Files whose optimizer has another number of parameters, or other shapes, than the model.
    for (file, reason) in [
        (
            "optimizer_of_fewer.pth",
            "it was given 2 parameters, the model has 36",
        ),
        (
            "optimizer_of_another.pth",
            "the state of parameter 0 is [3]",
        ),
    ] {
        let error = open(file).optimizer_momentum().unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
