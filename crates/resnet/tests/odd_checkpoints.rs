//! Unusual checkpoints from practice. tests/reference/odd_checkpoints.py describes each.

mod common;

use std::path::PathBuf;

use burn::prelude::*;
use common::values;
use e2mc_resnet::checkpoint::{save_method, save_module};
use e2mc_resnet::{
    BlockKind, Checkpoint, CheckpointError, Layout, ResNet, ResNetConfig, Stem,
    infer_resnet_config, save_backbone,
};

fn odd(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/odd")
        .join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(odd(name)).unwrap_or_else(|e| panic!("{e}"))
}

fn imported(checkpoint: &Checkpoint) -> ResNet {
    let import = checkpoint.import_backbone(&Device::flex());
    import.unwrap_or_else(|e| panic!("{e}")).backbone
}

/// Asserts that the file holds the weights of plain.safetensors.
fn assert_plain(name: &str) -> Checkpoint {
    let checkpoint = open(name);
    let plain = values(&imported(&open("plain.safetensors")));
    assert_eq!(values(&imported(&checkpoint)), plain, "{name}");
    checkpoint
}

#[test]
fn objects_beside_the_weights_are_passed_over() {
    for name in [
        "objects_2.pth",
        "objects_4.pth",
        "objects_5.pth",
        "objects_legacy.pth",
    ] {
        let checkpoint = assert_plain(name);
        assert_eq!(checkpoint.epoch(), Some(9), "{name}");
        assert_eq!(checkpoint.layout(), Layout::Backbone, "{name}");
        // The generator's state.
        assert_eq!(checkpoint.outside(), ["generator"], "{name}");
    }
}

#[test]
fn subclasses_of_dict_are_walked() {
    for name in [
        "easydict_around.pth",
        "cfg_node_around.pth",
        "defaultdict_around.pth",
        "attribute_dict_around.pth",
    ] {
        assert_eq!(assert_plain(name).prefix(), "state_dict", "{name}");
    }
}

#[test]
fn whole_modules_are_read() {
    for name in ["module.pth", "module_parallel.pth", "module_legacy.pth"] {
        assert_eq!(assert_plain(name).tensors().count(), 60, "{name}");
    }
}

#[test]
fn of_several_networks_the_trained_one_is_taken_and_the_others_named() {
    for (name, taken, other, outside) in [
        (
            "dino.pth",
            "student.module.backbone",
            "teacher.backbone",
            60 + 1,
        ),
        (
            "byol.pth",
            "online_network.module.encoder",
            "target_network.module.encoder",
            60,
        ),
        ("ema.pth", "state_dict", "state_dict_ema", 60),
    ] {
        let checkpoint = assert_plain(name);
        assert_eq!(checkpoint.prefix(), taken, "{name}");
        assert_eq!(checkpoint.other_networks(), [other], "{name}");
        assert_eq!(checkpoint.outside().len(), outside, "{name}");
        assert_eq!(checkpoint.summary().parts.len(), 1, "{name}");
        let said = checkpoint.decisions().join(" ");
        assert!(
            said.contains(&format!(
                "The file holds 2 networks: {taken} is used, {other} is not. Name a prefix to use \
                 another."
            )),
            "{said}"
        );
        // The other is 1 above everywhere.
        let second = Checkpoint::open_with(odd(name), other).unwrap();
        let difference = second
            .read("conv1.weight")
            .unwrap()
            .iter::<f32>()
            .next()
            .unwrap()
            - checkpoint
                .read("conv1.weight")
                .unwrap()
                .iter::<f32>()
                .next()
                .unwrap();
        assert!((difference - 1.0).abs() < 1e-5, "{name}: {difference}");
        imported(&second);
    }
    // The first part of the prefix is enough.
    let teacher = Checkpoint::open_with(odd("dino.pth"), "teacher").unwrap();
    assert_eq!(teacher.prefix(), "teacher.backbone");
    assert_eq!(teacher.backbone_prefix().unwrap(), "");
}

#[test]
fn a_counter_of_averages_does_not_keep_the_wrapper_on() {
    let checkpoint = assert_plain("averaged.pth");
    assert_eq!(checkpoint.prefix(), "module");
}

#[test]
fn decisions_are_short_sentences() {
    assert_eq!(
        open("dino.pth").decisions(),
        [
            "ResNet backbone, ResNet of [1, 1, 1, 1] basic blocks, width 2, 3x3 stem, 1 channel \
             (torch.save, zip).",
            "The model's names begin with student.module.backbone.",
            "The file holds 2 networks: student.module.backbone is used, teacher.backbone is not. \
             Name a prefix to use another.",
            "The file also holds epoch 800, the optimizer with momentum, 61 other tensors.",
        ]
    );
    assert_eq!(open("plain.safetensors").decisions().len(), 1);
}

#[test]
fn a_prefix_without_tensors_is_rejected_with_those_that_are_there() {
    let error = Checkpoint::open_with(odd("dino.pth"), "encoder").unwrap_err();
    assert!(matches!(error, CheckpointError::NoSuchPrefix { .. }));
    assert!(
        error
            .to_string()
            .contains("its names begin with optimizer, student, teacher"),
        "{error}"
    );
}

#[test]
fn tensors_within_blocks_without_a_place_are_rejected() {
    for (name, tensor) in [
        ("squeeze_excitation.pth", "layer1.0.se.fc1.weight"),
        ("conv_bias.pth", "layer1.0.conv1.bias"),
    ] {
        let checkpoint = open(name);
        let error = checkpoint.import_backbone(&Device::flex()).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::Unused { names, .. } if names[0] == tensor),
            "{error}"
        );
        assert!(error.to_string().contains("allow_unused"), "{error}");
        let said = checkpoint.decisions().join(" ");
        assert!(said.contains(tensor), "{said}");
        let allowed = checkpoint.with_allow_unused(true);
        let plain = values(&imported(&open("plain.safetensors")));
        assert_eq!(values(&imported(&allowed)), plain);
    }
}

#[test]
fn what_is_not_supported_is_named_with_the_way_out() {
    for (name, what, way_out) in [
        ("torchscript.pt", "TorchScript", "state_dict()"),
        (
            "around.zip",
            "a zip archive around weights/swav.pth.tar",
            "unzip it",
        ),
    ] {
        let error = Checkpoint::open(odd(name)).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Unsupported { .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(
            message.contains(what) && message.contains(way_out) && message.contains(name),
            "{message}"
        );
    }
}

#[test]
fn tensors_of_unsupported_kinds_matter_only_where_they_are_needed() {
    assert_plain("kinds_beside.pth");
    assert_plain("float8.safetensors");
    let checkpoint = open("sparse_needed.pth");
    let error = checkpoint.import_backbone(&Device::flex()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("tensor conv1.weight is sparse, which is not supported"),
        "{error}"
    );
}

#[test]
fn the_children_of_a_resnet_in_a_sequential_are_named() {
    for (name, prefix) in [
        ("sequential.pth", ""),
        ("sequential.ckpt", "state_dict.backbone"),
    ] {
        let checkpoint = assert_plain(name);
        assert_eq!(checkpoint.prefix(), prefix, "{name}");
        assert!(
            checkpoint.decisions().join(" ").contains("numbered"),
            "{name}"
        );
    }
}

#[test]
fn strided_and_compressed_tensors_are_read() {
    assert_plain("channels_last.pth");
    assert_plain("deflated.pth");
}

#[test]
fn first_names_of_any_length_are_read() {
    // With 21 characters, zip 9.8.1 mistakes the archive for a damaged one.
    for length in [1, 12, 21, 22, 40] {
        let checkpoint = open(&format!("{}.pth", "n".repeat(length)));
        assert_eq!(checkpoint.shape("conv1.weight"), Some(vec![2, 1, 3, 3]));
        checkpoint.read("conv1.weight").unwrap();
    }
}

fn small(stride: usize) -> ResNetConfig {
    ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(2)
        .with_stem(Stem::Small { kernel: 3, stride })
}

#[test]
fn exports_state_their_stem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    for config in [
        small(1),
        small(2),
        small(1).with_stem_padding(Some(2)),
        small(1).with_stem(Stem::ImageNet),
        small(1).with_stem(Stem::Small {
            kernel: 7,
            stride: 1,
        }),
    ] {
        save_backbone(&config.init(&Device::flex()), &path).unwrap();
        let found = infer_resnet_config(&Checkpoint::open(&path).unwrap()).unwrap();
        assert_eq!(found, config);
    }
}

#[test]
fn equal_models_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = small(2).init(&Device::flex());
    let bytes = |name: &str| {
        let path = folder.path().join(name);
        save_method(&backbone, &backbone, &path).unwrap();
        let first = std::fs::read(&path).unwrap();
        save_module(&backbone, &path).unwrap();
        (first, std::fs::read(&path).unwrap())
    };
    let first = bytes("a.safetensors");
    for _ in 0..5 {
        assert_eq!(bytes("b.safetensors"), first);
    }
    assert_ne!(first.0, first.1);
}

#[test]
fn a_stem_with_padding_2_enlarges_the_maps() {
    let device = Device::flex();
    let images = || Tensor::<4>::ones([1, 3, 8, 8], &device);
    let maps = |padding| {
        let network = small(1).with_stem_padding(padding).init(&device);
        let [first, ..] = network.forward_features(images());
        (first.dims(), network.activations(8, 8))
    };
    assert_eq!(maps(None), maps(Some(1)));
    assert_eq!(maps(None).0, [1, 2, 8, 8]);
    assert_eq!(maps(Some(2)).0, [1, 2, 10, 10]);
    assert!(maps(Some(2)).1 > maps(None).1);
    // Also with few remaining positions, which take another path.
    let tiny = small(1).with_stem_padding(Some(2)).init(&device);
    let [first, ..] = tiny.forward_features(Tensor::<4>::ones([1, 3, 2, 2], &device));
    assert_eq!(first.dims(), [1, 2, 4, 4]);
}
