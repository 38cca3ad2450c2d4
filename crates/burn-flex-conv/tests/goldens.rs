//! The kernels against PyTorch in f64 (tests/reference/conv.py), on every instruction set of the
//! processor.

use burn_flex_conv::kernels::*;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/reference/conv/golden.json")).unwrap()
}

/// The plain form, and every instruction set of this processor.
fn instruction_sets() -> Vec<Arch> {
    #[allow(unused_mut)] // where there is one only
    let mut all = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        all.extend(V3::try_new().map(Arch::V3));
        all.extend(V4::try_new().map(Arch::V4));
    }
    #[cfg(not(target_arch = "x86_64"))]
    all.push(Arch::new());
    all
}

fn floats(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap() as f32)
        .collect()
}

fn sizes<const N: usize>(value: &Value) -> [usize; N] {
    let sizes = value.as_array().unwrap().iter();
    let sizes: Vec<usize> = sizes.map(|x| x.as_u64().unwrap() as usize).collect();
    sizes.try_into().unwrap()
}

/// `[n, channels, height, width]` to channels last.
fn last(values: &[f32], [_, channels, height, width]: [usize; 4]) -> Vec<f32> {
    transpose(values, channels, height * width)
}

fn first(values: &[f32], [_, channels, height, width]: [usize; 4]) -> Vec<f32> {
    transpose(values, height * width, channels)
}

/// Within `tolerance` of the largest value, since f32 sums lose digits relative to their terms.
#[track_caller]
fn assert_close(found: &[f32], expected: &Value, tolerance: f32, what: &str) {
    let expected = floats(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}, value {index}: {found}, expected {expected}"
        );
    }
}

/// A few hundred products in f32: 2^-24 times the square root of their number, with a margin.
const PRODUCTS: f32 = 3e-6;

#[test]
fn convolutions_equal_pytorchs() {
    let golden = golden();
    let cases = golden["convolutions"].as_array().unwrap();
    assert_eq!(cases.len(), 23);
    for case in cases {
        let input_shape: [usize; 4] = sizes(&case["input_shape"]);
        let [channels_out, channels_in, rows, columns] = sizes(&case["weight_shape"]);
        let output_shape: [usize; 4] = sizes(&case["output_shape"]);
        let shape = ConvShape {
            batch: input_shape[0],
            channels_in,
            channels_out,
            input: [input_shape[2], input_shape[3]],
            kernel: [rows, columns],
            stride: sizes(&case["stride"]),
            padding: sizes(&case["padding"]),
            dilation: sizes(&case["dilation"]),
        };
        assert_eq!(
            shape.output(),
            [output_shape[2], output_shape[3]],
            "{shape}"
        );
        let input = last(&floats(&case["input"]), input_shape);
        let weight = floats(&case["weight"]);
        let gradient = last(&floats(&case["gradient"]), output_shape);
        for arch in instruction_sets() {
            let what = |name: &str| format!("{name}, {arch:?}, {shape}");
            let output = conv2d(arch, &input, &weight, &shape, None);
            let output = first(&output, output_shape);
            assert_close(&output, &case["output"], PRODUCTS, &what("output"));

            let found = conv2d_input_gradient(arch, &gradient, &weight, &shape);
            let name = what("gradient of the input");
            assert_close(
                &first(&found, input_shape),
                &case["input_gradient"],
                PRODUCTS,
                &name,
            );

            let mut sum = vec![0.5; shape.input_len()];
            add_conv2d_input_gradient(arch, &gradient, &weight, &shape, &mut sum);
            let sum: Vec<f32> = sum.iter().map(|x| x - 0.5).collect();
            let name = what("gradient of the input, added");
            assert_close(
                &first(&sum, input_shape),
                &case["input_gradient"],
                PRODUCTS,
                &name,
            );

            let found = conv2d_weight_gradient(arch, &input, &gradient, &shape);
            let name = what("gradient of the weight");
            assert_close(&found, &case["weight_gradient"], PRODUCTS, &name);
        }
    }
}

/// Scale, shift, residual and ReLU in one pass give the same result as separately.
#[test]
fn an_epilogue_equals_separate_passes() {
    let golden = golden();
    let case = &golden["convolutions"][13];
    let [batch, channels_in, height, width] = sizes(&case["input_shape"]);
    let [channels_out, _, rows, columns] = sizes(&case["weight_shape"]);
    let shape = ConvShape {
        batch,
        channels_in,
        channels_out,
        input: [height, width],
        kernel: [rows, columns],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
    };
    let input = last(&floats(&case["input"]), [batch, channels_in, height, width]);
    let weight = floats(&case["weight"]);
    let scale: Vec<f32> = (0..channels_out).map(|i| 0.5 + i as f32 / 10.0).collect();
    let shift: Vec<f32> = (0..channels_out).map(|i| i as f32 - 3.0).collect();
    for arch in instruction_sets() {
        let plain = conv2d(arch, &input, &weight, &shape, None);
        let residual: Vec<f32> = plain.iter().map(|x| 1.0 - x / 2.0).collect();
        let epilogue = Epilogue {
            scale: &scale,
            shift: &shift,
            residual: Some(&residual),
            relu: true,
        };
        let found = conv2d(arch, &input, &weight, &shape, Some(epilogue));
        let expected: Vec<f32> = plain
            .iter()
            .zip(&residual)
            .enumerate()
            .map(|(i, (x, residual))| {
                let channel = i % channels_out;
                (x * scale[channel] + shift[channel] + residual).max(0.0)
            })
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn batch_normalizations_equal_pytorchs() {
    let golden = golden();
    let cases = golden["norms"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let shape: [usize; 4] = sizes(&case["shape"]);
        let [_, channels, _, _] = shape;
        let x = last(&floats(&case["input"]), shape);
        let gradient = last(&floats(&case["gradient"]), shape);
        let residual =
            (!case["residual"].is_null()).then(|| last(&floats(&case["residual"]), shape));
        let relu = case["relu"].as_bool().unwrap();
        for arch in instruction_sets() {
            let what = |name: &str| format!("{name}, {arch:?}, {shape:?}, ReLU {relu}");
            let found = statistics(arch, &x, channels);
            assert_close(&found.mean, &case["mean"], 1e-6, &what("mean"));
            // At a mean of 1000, an f32 input is exact to 6e-5 only.
            assert_close(&found.variance, &case["variance"], 1e-6, &what("variance"));
            let inverse: Vec<f32> = (found.variance.iter())
                .map(|variance| 1.0 / (variance + 1e-5).sqrt())
                .collect();
            let weight = floats(&case["weight"]);
            let affine = Affine {
                mean: found.mean,
                scale: weight.iter().zip(&inverse).map(|(w, i)| w * i).collect(),
                shift: floats(&case["bias"]),
            };
            // At a mean of 1000, f32 knows the distance to the mean to 6e-5 only.
            let tolerance = if x[0].abs() > 500.0 { 3e-4 } else { 3e-6 };
            let output = normalize(arch, &x, &affine, residual.as_deref(), relu);
            let expected = &case["output"];
            assert_close(&first(&output, shape), expected, tolerance, &what("output"));
            let found = normalize_backward(
                arch,
                &gradient,
                Forward {
                    x: &x,
                    affine: &affine,
                    inverse_deviation: &inverse,
                    relu,
                    output: residual.as_ref().map(|_| output.as_slice()),
                },
            );
            for (name, found) in [
                ("input_gradient", first(&found.x, shape)),
                ("weight_gradient", found.weight),
                ("bias_gradient", found.bias),
            ] {
                assert_close(&found, &case[name], tolerance, &what(name));
            }
            match found.residual {
                Some(found) => {
                    let expected = &case["residual_gradient"];
                    assert_close(&first(&found, shape), expected, 0.0, &what("residual"));
                }
                None => assert!(residual.is_none() || !relu),
            }
        }
    }
}

#[test]
fn max_poolings_equal_pytorchs() {
    let golden = golden();
    let cases = golden["pools"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let input_shape: [usize; 4] = sizes(&case["input_shape"]);
        let output_shape: [usize; 4] = sizes(&case["output_shape"]);
        let number = |name: &str| case[name].as_u64().unwrap() as usize;
        let shape = MaxPoolShape {
            batch: input_shape[0],
            channels: input_shape[1],
            input: [input_shape[2], input_shape[3]],
            kernel: number("kernel"),
            stride: number("stride"),
            padding: number("padding"),
        };
        let input = last(&floats(&case["input"]), input_shape);
        let gradient = last(&floats(&case["gradient"]), output_shape);
        for arch in instruction_sets() {
            let (output, taps) = max_pool(arch, &input, &shape);
            assert_close(
                &first(&output, output_shape),
                &case["output"],
                0.0,
                "output",
            );
            let found = max_pool_backward(arch, &gradient, &taps, &shape);
            let found = first(&found, input_shape);
            assert_close(&found, &case["input_gradient"], 1e-6, "gradient");
        }
    }
}
