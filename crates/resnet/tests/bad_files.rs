//! Files that are not checkpoints, or damaged ones. Each gives a one-line error, never a panic.

mod common;

use std::fs;
use std::path::PathBuf;

use burn::prelude::*;
use common::{reference, values};
use e2mc_resnet::{
    BlockKind, Checkpoint, CheckpointError, ResNet, ResNetConfig, Stem, infer_resnet_config,
    save_backbone,
};

fn small(width: usize, layers: [usize; 4]) -> ResNet {
    ResNetConfig::new(BlockKind::Basic, layers)
        .with_width(width)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        })
        .init(&Device::flex())
}

/// The message, checked to be one line that names the file.
fn message(error: CheckpointError, file: &str) -> String {
    let message = error.to_string();
    assert!(!message.contains('\n'), "several lines: {message}");
    assert!(message.contains(file), "{file} is not named: {message}");
    message
}

fn open_error(name: &str, content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    message(Checkpoint::open(&path).unwrap_err(), name)
}

#[test]
fn a_missing_file() {
    let path = PathBuf::from("no/such/file.pth");
    let message = message(Checkpoint::open(&path).unwrap_err(), "no/such/file.pth");
    assert!(message.contains("No such file"), "{message}");
}

#[test]
fn a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, CheckpointError::Read { .. }), "{error}");
}

#[test]
fn files_that_are_no_checkpoints() {
    let noise: Vec<u8> = (0..4096u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let cases: [(&str, &[u8]); 5] = [
        ("empty.pth", b""),
        ("notes.txt", b"learning rate 0.6, batch 4096\n"),
        ("page.pth", b"<!DOCTYPE html><html>404: Not Found</html>"),
        (
            "pointer.pth",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 94\n",
        ),
        ("noise.pth", &noise),
    ];
    for (name, content) in cases {
        let message = open_error(name, content);
        assert!(message.contains("is not a checkpoint"), "{message}");
        assert!(
            message.contains("expected a file written by torch.save"),
            "{message}"
        );
    }
}

#[test]
fn a_checkpoint_without_tensors() {
    let error = Checkpoint::open(reference("no_tensors.pth")).unwrap_err();
    assert!(message(error, "no_tensors.pth").contains("it holds no tensors"));
}

#[test]
fn truncated_files_never_panic_and_never_load() {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "swav_bare.pth.tar",
        "swav_legacy.pth.tar",
        "basic.safetensors",
    ] {
        let whole = fs::read(reference(file)).unwrap();
        let path = folder.path().join(file);
        for percent in [1, 5, 10, 25, 50, 75, 90, 99] {
            fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
            let error = match Checkpoint::open(&path) {
                Err(error) => error,
                Ok(checkpoint) => checkpoint
                    .load_into(&mut small(2, [1, 1, 1, 1]), "")
                    .unwrap_err(),
            };
            let message = message(error, file);
            assert!(
                message.contains("truncated or damaged"),
                "{file} cut at {percent}%: {message}"
            );
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "swav_bare.pth.tar",
        "swav_legacy.pth.tar",
        "basic.safetensors",
    ] {
        let whole = fs::read(reference(file)).unwrap();
        let path = folder.path().join(file);
        let mut state = 1u64;
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                // SplitMix64: a different place and value each time.
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                // Half of the changes go to the first kilobyte, where the names and sizes are.
                let range = if z & 1 == 0 {
                    1024.min(bytes.len())
                } else {
                    bytes.len()
                };
                bytes[(z >> 16) as usize % range] = (z >> 8) as u8;
            }
            fs::write(&path, bytes).unwrap();
            if let Ok(checkpoint) = Checkpoint::open(&path) {
                let _ = infer_resnet_config(&checkpoint);
                let _ = checkpoint.load_into(&mut small(2, [1, 1, 1, 1]), "");
            }
        }
    }
}

#[test]
fn a_tensor_that_claims_more_than_the_file_holds() {
    let error = Checkpoint::open(reference("expanded.pth")).unwrap_err();
    let message = message(error, "expanded.pth");
    assert!(
        message.contains("tensor conv1.weight claims 4000000000 bytes"),
        "{message}"
    );
}

#[test]
fn missing_tensors() {
    let checkpoint = Checkpoint::open(reference("swav_bare.pth.tar")).unwrap();
    let mut deeper = small(2, [1, 1, 2, 1]);
    let before = values(&deeper);
    let error = checkpoint.load_into(&mut deeper, "").unwrap_err();
    let message = message(error, "swav_bare.pth.tar");
    assert!(
        message.contains("lacks layer3.1.bn1.bias, ") && message.contains(" and 6 more"),
        "{message}"
    );
    assert_eq!(before, values(&deeper), "the module changed");

    let error = checkpoint.load_into(&mut deeper, "backbone").unwrap_err();
    assert!(error.to_string().contains("lacks backbone."), "{error}");
    assert!(error.to_string().contains("layout \"SwAV\""), "{error}");
}

#[test]
fn misshapen_tensors() {
    let checkpoint = Checkpoint::open(reference("swav_bare.pth.tar")).unwrap();
    let mut wider = small(4, [1, 1, 1, 1]);
    let before = values(&wider);
    let error = checkpoint.load_into(&mut wider, "").unwrap_err();
    let message = message(error, "swav_bare.pth.tar");
    assert!(
        message.contains("wrong shape of bn1.bias (expected [4], found [2]), ")
            && message.contains(" and 56 more"),
        "{message}"
    );
    assert_eq!(before, values(&wider), "the module changed");
}

#[test]
fn integers_for_parameters() {
    let checkpoint = Checkpoint::open(reference("integers.pth")).unwrap();
    let error = checkpoint
        .load_into(&mut small(2, [1, 1, 1, 1]), "")
        .unwrap_err();
    let message = message(error, "integers.pth");
    assert!(
        message.contains("tensor conv1.weight holds i64 values"),
        "{message}"
    );
}

#[test]
fn a_checkpoint_without_resnet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    let head = burn::nn::LinearConfig::new(2, 3).init(&Device::flex());
    e2mc_resnet::checkpoint::save_module(&head, &path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let error = infer_resnet_config(&checkpoint).unwrap_err();
    assert!(message(error, "head.safetensors").contains("holds no ResNet"));
}

#[test]
fn a_resnet_of_another_family() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.safetensors");
    let mut odd = small(2, [1, 1, 1, 1]);
    odd.layer3 = small(4, [1, 1, 1, 1]).layer3;
    save_backbone(&odd, &path).unwrap();
    let error = infer_resnet_config(&Checkpoint::open(&path).unwrap()).unwrap_err();
    let message = message(error, "odd.safetensors");
    assert!(
        message.contains(
            "layer3.0.conv1.weight is [16, 8, 3, 3] instead of [8, 4, 3, 3], and 2 more differ"
        ),
        "{message}"
    );
}

#[test]
fn an_export_into_a_missing_folder() {
    let error = save_backbone(&small(2, [1, 1, 1, 1]), "no/such/folder/b.safetensors").unwrap_err();
    assert!(message(error, "no/such/folder/b.safetensors").contains("cannot write"));
}
