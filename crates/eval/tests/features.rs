//! Feature extraction with a small backbone.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::{EvalError, Features, extract_features};
use e2mc_resnet::{BlockKind, ResNet, ResNetConfig, Stem};

fn backbone(in_channels: usize, device: &Device) -> ResNet {
    device.seed(0);
    ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(4)
        .with_in_channels(in_channels)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 1,
        })
        .init(device)
}

/// Images `from..to`, one channel of 8 x 8, and their labels.
fn images(from: usize, to: usize) -> (Tensor<4>, Vec<u32>) {
    let values: Vec<f32> = (from * 64..to * 64)
        .map(|i| (i * i % 251) as f32 / 64.0 - 2.0)
        .collect();
    let images = TensorData::new(values, [to - from, 1, 8, 8]);
    let labels = (from as u32..to as u32).map(|i| i % 3).collect();
    (Tensor::from_data(images, &Device::flex()), labels)
}

fn batches(
    n: usize,
    size: usize,
) -> impl Iterator<Item = Result<(Tensor<4>, Vec<u32>), EvalError>> {
    (0..n)
        .step_by(size)
        .map(move |start| Ok(images(start, n.min(start + size))))
}

fn extract(backbone: &ResNet, n: usize, size: usize) -> Result<Features, EvalError> {
    extract_features(backbone, batches(n, size), 3, |_| ())
}

#[test]
fn equals_the_backbone_in_evaluation_mode() {
    let backbone = backbone(1, &Device::flex().autodiff());
    let features = extract(&backbone, 7, 7).unwrap();
    assert_eq!((features.len(), features.dims()), (7, 32));
    assert_eq!(features.labels(), [0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(features.classes(), 3);

    let expected = backbone.valid().forward(images(0, 7).0).into_data();
    assert_eq!(features.values(), expected.as_slice::<f32>().unwrap());
}

#[test]
fn batches_do_not_matter_and_nothing_is_trained() {
    let backbone = backbone(1, &Device::flex().autodiff());
    let whole = extract(&backbone, 7, 100).unwrap();
    for size in [1, 3, 7] {
        let parts = extract(&backbone, 7, size).unwrap();
        assert_eq!(parts.labels(), whole.labels());
        for (got, want) in parts.values().iter().zip(whole.values()) {
            // Other shapes may sum in another order.
            assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0));
        }
    }
    assert_eq!(extract(&backbone, 7, 100), Ok(whole));
}

#[test]
fn progress_counts_images() {
    let mut calls = Vec::new();
    let backbone = backbone(1, &Device::flex());
    extract_features(&backbone, batches(7, 3), 3, |done| calls.push(done)).unwrap();
    assert_eq!(calls, [3, 6, 7]);
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::flex();
    let mut good = backbone(1, &device);
    let message = |result: Result<Features, EvalError>| result.unwrap_err().to_string();

    assert!(message(extract(&good, 0, 4)).contains("there are none"));
    assert_eq!(
        extract(&backbone(3, &device), 2, 4),
        Err(EvalError::ChannelMismatch {
            backbone: 3,
            images: 1
        })
    );
    let unreadable = || EvalError::Empty { what: "a test" };
    let failing = batches(4, 2).chain([Err(unreadable())]);
    assert_eq!(
        extract_features(&good, failing, 3, |_| ()),
        Err(unreadable())
    );
    good.conv1.weight = good.conv1.weight.map(|weight| weight * f32::NAN);
    assert!(message(extract(&good, 2, 4)).contains("of image 0 is NaN"));
}
