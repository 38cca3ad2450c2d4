//! Feature extraction with a small backbone.

use burn::module::Module;
use burn::tensor::Device;
use e2mc_data::{ImageSet, Normalization};
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

fn images(n: usize) -> ImageSet {
    let pixels = (0..n * 64).map(|i| (i * i % 251) as u8).collect();
    let labels = (0..n as u32).map(|i| i % 3).collect();
    let classes = ["a", "b", "c"].map(String::from).to_vec();
    ImageSet::new("test images", pixels, [1, 8, 8], labels, classes).unwrap()
}

fn extract(backbone: &ResNet, images: &ImageSet, batch: usize) -> Result<Features, EvalError> {
    let normalization = Normalization::grey(0.5, 0.25);
    let device = Device::flex().autodiff();
    extract_features(backbone, images, &normalization, batch, &device, |_, _| ())
}

#[test]
fn equals_the_backbone_in_evaluation_mode() {
    let backbone = backbone(1, &Device::flex().autodiff());
    let images = images(7);
    let features = extract(&backbone, &images, 7).unwrap();
    assert_eq!((features.len(), features.dims()), (7, 32));
    assert_eq!(features.labels(), images.labels());
    assert_eq!(features.classes(), 3);

    let all: Vec<usize> = (0..7).collect();
    let input = images.tensor(&all, &Normalization::grey(0.5, 0.25), &Device::flex());
    let expected = backbone.valid().forward(input).into_data();
    assert_eq!(features.values(), expected.as_slice::<f32>().unwrap());
}

#[test]
fn batches_do_not_matter_and_nothing_is_trained() {
    let backbone = backbone(1, &Device::flex().autodiff());
    let images = images(7);
    let whole = extract(&backbone, &images, 100).unwrap();
    for batch in [1, 3, 7] {
        let parts = extract(&backbone, &images, batch).unwrap();
        for (got, want) in parts.values().iter().zip(whole.values()) {
            // Other shapes may add up in another order.
            assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0));
        }
    }
    assert_eq!(extract(&backbone, &images, 100), Ok(whole));
}

#[test]
fn progress_counts_images() {
    let device = Device::flex();
    let mut calls = Vec::new();
    extract_features(
        &backbone(1, &device),
        &images(7),
        &Normalization::grey(0.0, 1.0),
        3,
        &device,
        |done, all| calls.push((done, all)),
    )
    .unwrap();
    assert_eq!(calls, [(3, 7), (6, 7), (7, 7)]);
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::flex();
    let mut good = backbone(1, &device);
    let message = |result: Result<Features, EvalError>| result.unwrap_err().to_string();

    assert!(message(extract(&good, &images(0), 4)).contains("there are none"));
    assert!(message(extract(&good, &images(2), 0)).starts_with("batch_size is 0"));
    assert_eq!(
        extract(&backbone(3, &device), &images(2), 4),
        Err(EvalError::ChannelMismatch {
            backbone: 3,
            images: 1
        })
    );
    good.conv1.weight = good.conv1.weight.map(|weight| weight * f32::NAN);
    assert!(message(extract(&good, &images(2), 4)).contains("of image 0 is NaN"));
}
