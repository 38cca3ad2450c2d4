//! The network against torchvision's blocks: outputs, gradients and running statistics.

mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{Golden, gradients, reference, relative_difference, values};
use e2mc_resnet::{BlockKind, Checkpoint, ResNet, ResNetConfig, Stem};

/// f32 against f64: forward and backward through up to nine convolutions and normalizations.
const TOLERANCE: f64 = 1e-4;

fn load(name: &str, config: &ResNetConfig, device: &Device) -> ResNet {
    let checkpoint = Checkpoint::open(reference(name)).unwrap();
    let mut model = config.init(device);
    checkpoint.load_into(&mut model, "").unwrap();
    model
}

fn compare(name: &str, config: ResNetConfig, cases: &[&str]) {
    let golden = Golden::open(name);
    let device = Device::flex();
    for case in cases {
        let model = load(name, &config, &device);
        let input = golden.tensor::<4>(&format!("{case}.input"), &device);
        for (i, stage) in model
            .forward_features(input.clone())
            .into_iter()
            .enumerate()
        {
            let sums: Tensor<2> = stage.sum_dim(3).sum_dim(2).squeeze_dims(&[2, 3]);
            golden.assert_close(&format!("{case}.eval.stage{}.sums", i + 1), sums, TOLERANCE);
        }
        golden.assert_close(
            &format!("{case}.eval.output"),
            model.forward(input),
            TOLERANCE,
        );

        let device = device.clone().autodiff();
        let model = load(name, &config, &device);
        let input = golden
            .tensor::<4>(&format!("{case}.input"), &device)
            .require_grad();
        let output = model.forward(input.clone());
        golden.assert_close(&format!("{case}.train.output"), output.clone(), TOLERANCE);
        let cotangent = golden.tensor::<2>(&format!("{case}.cotangent"), &device);
        let grads = (output * cotangent).sum().backward();
        golden.assert_close(
            &format!("{case}.grad.input"),
            input.grad(&grads).unwrap(),
            TOLERANCE,
        );
        check_all(
            &golden,
            &format!("{case}.grad.model."),
            &gradients(&model, &grads),
        );
        check_all(&golden, &format!("{case}.after."), &values(&model.valid()));
    }
}

/// Checks that `found` has every golden tensor under `prefix`.
fn check_all(golden: &Golden, prefix: &str, found: &std::collections::BTreeMap<String, Vec<f32>>) {
    let names = golden.names(prefix);
    assert!(!names.is_empty(), "no golden tensors under {prefix}");
    for name in names {
        let expected = golden.data(&format!("{prefix}{name}")).clone();
        let difference =
            relative_difference(&found[&name], &expected.try_into_vec::<f32>().unwrap());
        assert!(
            difference <= TOLERANCE,
            "{prefix}{name}: relative difference {difference:.2e}"
        );
    }
}

#[test]
fn basic_blocks_equal_pytorch() {
    let config = ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(4)
        .with_in_channels(1);
    compare("basic.safetensors", config, &["28x28"]);
}

#[test]
fn bottleneck_blocks_equal_pytorch_also_at_odd_sizes() {
    let config = ResNetConfig::new(BlockKind::Bottleneck, [1, 1, 1, 1]).with_width(4);
    compare("bottleneck.safetensors", config, &["64x64", "65x49"]);
}

#[test]
fn small_stem_equals_pytorch() {
    let config = ResNetConfig::new(BlockKind::Basic, [2, 1, 1, 1])
        .with_width(4)
        .with_in_channels(2)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 1,
        });
    compare("small_stem.safetensors", config, &["20x17"]);
}

/// As `exact_input` in tests/reference/resnet.py.
fn exact_input<const N: usize>(shape: [usize; N], device: &Device) -> Tensor<N> {
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
        .map(|i| ((i * 2_654_435_761 % (1 << 32)) >> 8) as f32 / 4_194_304.0 - 2.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[test]
fn the_depth_of_resnet_50_equals_pytorch_at_224_96_and_an_odd_size() {
    // 161 layers of f32 against f64, and activations that grow from block to block.
    let golden = Golden::open("sizes.safetensors");
    let config = ResNetConfig::resnet50().with_width(4);
    for (height, width) in [(224, 224), (96, 96), (197, 131)] {
        let case = format!("{height}x{width}");
        let device = Device::flex();
        let model = load("sizes.safetensors", &config, &device);
        let input = exact_input([2, 3, height, width], &device);
        let stages = model.forward_features(input.clone());
        for (i, stage) in stages.into_iter().enumerate() {
            let sums: Tensor<2> = stage.sum_dim(3).sum_dim(2).squeeze_dims(&[2, 3]);
            golden.assert_close(&format!("{case}.eval.stage{}.sums", i + 1), sums, TOLERANCE);
        }
        let output = model.forward(input);
        golden.assert_close(&format!("{case}.eval.output"), output, TOLERANCE);

        let device = device.autodiff();
        let model = load("sizes.safetensors", &config, &device);
        let output = model.forward(exact_input([2, 3, height, width], &device));
        golden.assert_close(&format!("{case}.train.output"), output, TOLERANCE);
        check_all(&golden, &format!("{case}.after."), &values(&model.valid()));
    }
}

#[test]
fn named_networks_have_torchvisions_parameter_counts() {
    // Parameters of torchvision's models minus those of fc (512 or 2048 x 1000 + 1000).
    let cases = [
        (ResNetConfig::resnet18(), 11_689_512 - 513_000),
        (ResNetConfig::resnet34(), 21_797_672 - 513_000),
        (ResNetConfig::resnet50(), 25_557_032 - 2_049_000),
        (ResNetConfig::resnet101(), 44_549_160 - 2_049_000),
        (ResNetConfig::resnet152(), 60_192_808 - 2_049_000),
    ];
    for (config, expected) in cases {
        let model = config.init(&Device::flex());
        let running: usize = values(&model)
            .iter()
            .filter(|(name, _)| name.contains("running_"))
            .map(|(_, values)| values.len())
            .sum();
        assert_eq!(model.num_params() - running, expected, "{config:?}");
    }
}

#[test]
fn initialization_is_torchvisions() {
    let device = Device::flex();
    let model = ResNetConfig::resnet18()
        .with_zero_init_residual(true)
        .init(&device);
    let values = values(&model);
    for (name, values) in &values {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| *v as f64).sum::<f64>() / n;
        let deviation = (values
            .iter()
            .map(|v| (*v as f64 - mean).powi(2))
            .sum::<f64>()
            / n)
            .sqrt();
        let (expected_mean, expected_deviation) = if name.contains("conv")
            || name.contains("downsample.0")
        {
            // sqrt(2 / fan_out), fan_out = channels_out * kernel area.
            let kernel = match name {
                name if name.contains("downsample.0") => 1.0,
                name if name == "conv1.weight" => 49.0,
                _ => 9.0,
            };
            let stage = name
                .strip_prefix("layer")
                .map_or(1, |n| n.as_bytes()[0] - b'0');
            let channels_out = 64 << (stage - 1);
            (0.0, (2.0 / (channels_out as f64 * kernel)).sqrt())
        } else if name.contains("bn2.weight") || name.ends_with("bias") || name.contains("mean") {
            (0.0, 0.0)
        } else {
            (1.0, 0.0)
        };
        // Four standard errors.
        let slack = 4.0 * expected_deviation / n.sqrt() + 1e-12;
        assert!((mean - expected_mean).abs() <= slack, "{name}: mean {mean}");
        assert!(
            (deviation - expected_deviation).abs() <= slack,
            "{name}: deviation {deviation}, expected {expected_deviation}"
        );
    }
}

#[test]
#[should_panic(expected = "layers is [1, 0, 1, 1], expected at least one block in each stage")]
fn a_stage_without_blocks_panics() {
    ResNetConfig::new(BlockKind::Basic, [1, 0, 1, 1]).init(&Device::flex());
}

#[test]
#[should_panic(expected = "expected an odd kernel")]
fn an_even_stem_panics() {
    ResNetConfig::resnet18()
        .with_stem(Stem::Small {
            kernel: 4,
            stride: 1,
        })
        .init(&Device::flex());
}

/// The sizes of all convolutions' outputs, summed over forward hooks of torchvision 0.29.2's
/// resnet18 and resnet50.
#[test]
fn activations_are_torchvisions() {
    let device = Device::flex();
    let count = |config: ResNetConfig| {
        let model = config.init(&device);
        [(224, 224), (96, 96), (197, 131)].map(|(h, w)| model.activations(h, w))
    };
    assert_eq!(count(ResNetConfig::resnet18()), [2483712, 456192, 1351936]);
    let expected = [11113984, 2041344, 6134528];
    assert_eq!(count(ResNetConfig::resnet50()), expected);
}
