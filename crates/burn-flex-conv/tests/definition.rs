//! The plain form of every kernel against its definition, at sizes that Miri can run (`.ci/miri`).

use burn_flex_conv::kernels::*;

const ARCH: Arch = Arch::Scalar;

/// Small whole numbers, so that sums are exact in any order.
fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7 + 3) % 11) as f32 - 5.0)
        .collect()
}

/// Calls `visit` with the indices of output, input and weight of every product of a convolution.
fn products(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = shape.output();
    let [rows, columns] = shape.kernel;
    let reach = |axis: usize, position: usize, tap: usize| {
        let place = position * shape.stride[axis] + tap * shape.dilation[axis];
        let place = place.checked_sub(shape.padding[axis])?;
        (place < shape.input[axis]).then_some(place)
    };
    for image in 0..shape.batch {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                let (Some(from_y), Some(from_x)) = (reach(0, y, row), reach(1, x, column)) else {
                    continue;
                };
                let from = (image * shape.input[0] + from_y) * shape.input[1] + from_x;
                let to = (image * height + y) * width + x;
                for out in 0..shape.channels_out {
                    for channel in 0..shape.channels_in {
                        visit(
                            to * shape.channels_out + out,
                            from * shape.channels_in + channel,
                            ((out * shape.channels_in + channel) * rows + row) * columns + column,
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn convolutions() {
    let shape = |channels: [usize; 2], input, kernel, stride, padding, dilation| ConvShape {
        batch: 2,
        channels_in: channels[0],
        channels_out: channels[1],
        input,
        kernel,
        stride,
        padding,
        dilation,
    };
    for shape in [
        // Lines read in place, gathered patches, a single tap, remainders.
        shape([2, 3], [2, 14], [3, 3], [1, 1], [1, 1], [1, 1]),
        shape([1, 2], [3, 25], [3, 3], [2, 2], [1, 1], [1, 1]),
        shape([2, 3], [4, 3], [3, 3], [2, 2], [1, 1], [1, 1]),
        shape([3, 2], [2, 3], [1, 1], [1, 1], [0, 0], [1, 1]),
        shape([1, 1], [3, 4], [2, 3], [1, 2], [0, 2], [1, 2]),
        shape([1, 2], [1, 1], [3, 3], [1, 1], [1, 1], [1, 1]),
    ] {
        let (input, weight) = (numbers(shape.input_len()), numbers(shape.weight_len()));
        let gradient = numbers(shape.output_len());
        let mut output = vec![0.0; shape.output_len()];
        let mut input_gradient = vec![0.0; shape.input_len()];
        let mut weight_gradient = vec![0.0; shape.weight_len()];
        products(&shape, |o, i, w| {
            output[o] += input[i] * weight[w];
            input_gradient[i] += gradient[o] * weight[w];
            weight_gradient[w] += gradient[o] * input[i];
        });
        assert_eq!(
            conv2d(ARCH, &input, &weight, &shape, None),
            output,
            "{shape}"
        );
        let found = conv2d_input_gradient(ARCH, &gradient, &weight, &shape);
        assert_eq!(found, input_gradient, "{shape}");
        let mut sum = input.clone();
        add_conv2d_input_gradient(ARCH, &gradient, &weight, &shape, &mut sum);
        let expected: Vec<f32> = input
            .iter()
            .zip(&input_gradient)
            .map(|(a, b)| a + b)
            .collect();
        assert_eq!(sum, expected, "{shape}");
        let found = conv2d_weight_gradient(ARCH, &input, &gradient, &shape);
        assert_eq!(found, weight_gradient, "{shape}");

        let (scale, shift) = (numbers(shape.channels_out), numbers(shape.channels_out));
        let epilogue = Epilogue {
            scale: &scale,
            shift: &shift,
            residual: Some(&gradient),
            relu: true,
        };
        let found = conv2d(ARCH, &input, &weight, &shape, Some(epilogue));
        for (place, found) in found.iter().enumerate() {
            let channel = place % shape.channels_out;
            let value = output[place] * scale[channel] + shift[channel] + gradient[place];
            assert_eq!(*found, value.max(0.0), "{shape}");
        }
    }
}

#[test]
fn normalization_and_pooling() {
    let channels = 3;
    let x = numbers(8 * channels);
    let found = statistics(ARCH, &x, channels);
    let inverse_deviation: Vec<f32> = found.variance.iter().map(|v| 1.0 / v.sqrt()).collect();
    let affine = Affine {
        mean: found.mean,
        scale: inverse_deviation.clone(),
        shift: vec![0.5; channels],
    };
    let output = normalize(ARCH, &x, &affine, Some(&x), true);
    for (place, output) in output.iter().enumerate() {
        let column = x.iter().skip(place % channels).step_by(channels);
        let mean = column.clone().sum::<f32>() / 8.0;
        let variance = column.map(|x| (x - mean).powi(2)).sum::<f32>() / 8.0;
        let value = (x[place] - mean) / variance.sqrt() + 0.5 + x[place];
        assert!((output - value.max(0.0)).abs() < 1e-5);
    }
    let forward = Forward {
        x: &x,
        affine: &affine,
        inverse_deviation: &inverse_deviation,
        relu: true,
        output: Some(&output),
    };
    let gradients = normalize_backward(ARCH, &numbers(x.len()), forward);
    // The statistics follow the input, so the gradient along a common shift is 0.
    for channel in 0..channels {
        let sum: f32 = gradients.x.iter().skip(channel).step_by(channels).sum();
        assert!(sum.abs() < 1e-4, "{sum}");
    }

    let shape = MaxPoolShape {
        batch: 1,
        channels,
        input: [2, 4],
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let (largest, taps) = max_pool(ARCH, &x, &shape);
    let gradient = numbers(largest.len());
    let back = max_pool_backward(ARCH, &gradient, &taps, &shape);
    for channel in 0..channels {
        let sum = |values: &[f32]| values.iter().skip(channel).step_by(channels).sum::<f32>();
        assert_eq!(sum(&back), sum(&gradient));
    }
    let mean = mean_pool(ARCH, &x, 8, channels);
    let back = mean_pool_backward(&mean, 8, channels);
    for (channel, mean) in mean.iter().enumerate() {
        let sum = |values: &[f32]| values.iter().skip(channel).step_by(channels).sum::<f32>();
        assert!((sum(&back) - mean).abs() < 1e-5);
        assert!((sum(&x) / 8.0 - mean).abs() < 1e-5);
    }
    let turned = transpose(&x, 8, channels);
    assert_eq!(transpose(&turned, channels, 8), x);
}
