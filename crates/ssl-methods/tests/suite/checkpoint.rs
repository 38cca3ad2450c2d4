use burn::module::{Module, Param};
use burn::prelude::*;
use e2mc_resnet::{Checkpoint, ResNetConfig, Stem};
use ssl_methods::swav::{Swav, SwavConfig};
use ssl_methods::{BaseMethod, MethodError};

use crate::golden::{checkpoint, config, method, named_values};

fn device() -> Device {
    Device::default()
}

#[test]
fn sizes_are_read_from_the_checkpoint() {
    let config = SwavConfig::from_checkpoint(&checkpoint()).unwrap();
    assert_eq!(config.projector, [32, 16]);
    assert_eq!(config.prototypes, 20);
    assert_eq!(config.backbone.in_channels, 1);
    assert_eq!(config.backbone.out_features(), 64);
}

#[test]
fn a_saved_method_loads_under_the_official_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("continued.safetensors");
    let saved = method("larc", &device());
    saved.save(&path).unwrap();

    let again = Checkpoint::open(&path).unwrap();
    let mut names: Vec<String> = again.tensors().map(|t| t.name).collect();
    let mut official: Vec<String> = checkpoint()
        .tensors()
        .map(|t| t.name)
        .filter(|name| !name.ends_with("num_batches_tracked"))
        .collect();
    names.sort();
    official.sort();
    assert_eq!(names, official);
    assert_eq!(again.layout(), checkpoint().layout());

    let loaded = Swav::from_checkpoint(&again, &config("larc"), &device()).unwrap();
    assert_eq!(named_values(&loaded, None), named_values(&saved, None));
}

#[test]
fn a_checkpoint_of_another_kind_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    e2mc_resnet::save_backbone(&method("larc", &device()).backbone, &path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let error = SwavConfig::from_checkpoint(&checkpoint)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("backbone.safetensors lacks projection_head.0.weight"),
        "{error}"
    );
    let error = Swav::from_checkpoint(&checkpoint, &config("larc"), &device())
        .unwrap_err()
        .to_string();
    assert!(error.contains("projection_head"), "{error}");
}

#[test]
fn a_configuration_of_other_sizes_is_rejected() {
    let mut config = config("larc");
    config.prototypes = 30;
    let error = Swav::from_checkpoint(&checkpoint(), &config, &device())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("prototypes.weight (expected [30, 16], found [20, 16])"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_with_nan_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diverged.safetensors");
    let mut diverged = method("larc", &device());
    diverged.prototypes.weight = Param::from_tensor(Tensor::full([16, 20], f32::NAN, &device()));
    diverged.save(&path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let error = Swav::from_checkpoint(&checkpoint, &config("larc"), &device()).unwrap_err();
    assert!(
        matches!(&error, MethodError::NotFinite { name, .. } if name == "prototypes.weight"),
        "{error}"
    );
}

#[test]
fn parameter_groups_are_the_parts() {
    let method = method("larc", &device());
    let groups = method.param_groups();
    let names: Vec<_> = groups.iter().map(|group| group.name).collect();
    assert_eq!(names, ["backbone", "projection_head", "prototypes"]);
    let counted: Vec<usize> = groups
        .iter()
        .map(|group| {
            method
                .clone()
                .into_record_group(group.parameters.clone())
                .len()
        })
        .collect();
    assert_eq!(counted.iter().sum::<usize>(), method.into_record().len());
    assert_eq!(counted[2], 1);
}

#[test]
fn the_paper_preset_has_the_published_size() {
    // On the meta level only: parameters are lazy until read.
    let method = SwavConfig::paper().init(&device());
    let resnet50 = 23_508_032;
    let head = (2048 * 2048 + 2048) + 2 * 2048 + (2048 * 128 + 128);
    // Burn counts running statistics as parameters.
    let statistics = 2 * 26_560 + 2 * 2048;
    assert_eq!(
        method.num_params(),
        resnet50 + head + 128 * 3000 + statistics
    );
    assert_eq!(method.uniform_loss(), Some(3000f64.ln()));
}

#[test]
fn a_configuration_survives_json() {
    let backbone = ResNetConfig::resnet18().with_stem(Stem::Small {
        kernel: 3,
        stride: 1,
    });
    let config = SwavConfig::new(backbone, vec![64, 32], 100).with_temperature(0.2);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<SwavConfig>(&json).unwrap(), config);
}

#[test]
fn displays_its_parts() {
    let text = method("larc", &device()).to_string();
    assert!(
        text.contains("Mlp") && text.contains("prototypes"),
        "{text}"
    );
}

#[test]
fn a_function_in_the_optimizer_is_passed_over() {
    let path = crate::golden::path(crate::golden::METHODS, "function_in_optimizer.pth");
    let momentum = Checkpoint::open(path)
        .unwrap()
        .optimizer_momentum()
        .unwrap();
    assert_eq!(momentum.len(), 1);
    let (name, data) = &momentum[0];
    assert_eq!(name, "backbone.conv1.weight");
    assert_eq!(data.iter::<f32>().collect::<Vec<_>>(), [0.5; 9]);
}
