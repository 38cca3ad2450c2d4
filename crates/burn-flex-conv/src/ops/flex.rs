//! The operations on Flex, with the values that their gradients need.

use burn::backend::Flex;

use super::tensors::{
    FlexTensor, channels_last, contiguous, dims, into_channels_last, map_from, tensor,
};
use super::{ConvOptions, FlexConv, JointInput, MaxPoolOptions, NormOptions};
use crate::kernels::{self, Affine, Arch, ConvShape, Epilogue, MaxPoolShape};

impl FlexConv for Flex {
    fn flex_conv2d(input: FlexTensor, weight: FlexTensor, options: ConvOptions) -> FlexTensor {
        convolve(&input, &weight, options, None)
    }

    fn flex_conv2d_joint(
        input: FlexTensor,
        weight: FlexTensor,
        options: ConvOptions,
        _: JointInput,
    ) -> FlexTensor {
        Self::flex_conv2d(input, weight, options)
    }

    fn flex_conv2d_affine(
        input: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: ConvOptions,
        relu: bool,
    ) -> FlexTensor {
        let epilogue = Epilogue {
            scale: &contiguous(&scale),
            shift: &contiguous(&shift),
            residual: None,
            relu,
        };
        convolve(&input, &weight, options, Some(epilogue))
    }

    fn flex_conv2d_residual(
        input: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        residual: FlexTensor,
        options: ConvOptions,
        relu: bool,
    ) -> FlexTensor {
        let epilogue = Epilogue {
            scale: &contiguous(&scale),
            shift: &contiguous(&shift),
            residual: Some(&channels_last(&residual)),
            relu,
        };
        convolve(&input, &weight, options, Some(epilogue))
    }

    fn flex_batch_norm(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        options: NormOptions,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let normalized = normalize(&input, &weight, &bias, None, options);
        (normalized.output, normalized.mean, normalized.variance)
    }

    fn flex_batch_norm_residual(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        options: NormOptions,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let normalized = normalize(&input, &weight, &bias, Some(&residual), options);
        (normalized.output, normalized.mean, normalized.variance)
    }

    fn flex_batch_norm_joint(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        options: NormOptions,
        _: JointInput,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        Self::flex_batch_norm_residual(input, weight, bias, residual, options)
    }

    fn flex_max_pool2d(input: FlexTensor, options: MaxPoolOptions) -> FlexTensor {
        max_pool(&input, options).0
    }

    fn flex_mean_pool2d(input: FlexTensor) -> FlexTensor {
        let [n, channels, height, width] = dims(&input);
        let values = channels_last(&input);
        let mean = kernels::mean_pool(Arch::new(), &values, height * width, channels);
        tensor(mean, [n, channels, 1, 1])
    }
}

/// The sizes of a convolution.
///
/// # Panics
///
/// If the channels of input and weight differ.
pub(super) fn shape_of(input: [usize; 4], weight: [usize; 4], options: ConvOptions) -> ConvShape {
    let ([batch, channels, height, width], [channels_out, channels_in, rows, columns]) =
        (input, weight);
    assert_eq!(
        channels, channels_in,
        "conv2d: the channels of the input {input:?} are not those of the weight {weight:?}"
    );
    ConvShape {
        batch,
        channels_in,
        channels_out,
        input: [height, width],
        kernel: [rows, columns],
        stride: options.stride,
        padding: options.padding,
        dilation: options.dilation,
    }
}

fn convolve(
    input: &FlexTensor,
    weight: &FlexTensor,
    options: ConvOptions,
    epilogue: Option<Epilogue<'_>>,
) -> FlexTensor {
    let shape = shape_of(dims(input), dims(weight), options);
    let [height, width] = shape.output();
    let output = [shape.batch, shape.channels_out, height, width];
    let (input, weight) = (channels_last(input), contiguous(weight));
    let values = kernels::conv2d(Arch::new(), &input, &weight, &shape, epilogue);
    map_from(values, output)
}

/// The gradient of the input of a convolution, given its dims.
pub(super) fn input_gradient(
    input: [usize; 4],
    weight: &FlexTensor,
    gradient: &FlexTensor,
    options: ConvOptions,
) -> FlexTensor {
    let shape = shape_of(input, dims(weight), options);
    let (gradient, weight) = (channels_last(gradient), contiguous(weight));
    let values = kernels::conv2d_input_gradient(Arch::new(), &gradient, &weight, &shape);
    map_from(values, input)
}

/// As [`input_gradient`], added to `sum`.
pub(super) fn add_input_gradient(
    sum: FlexTensor,
    weight: &FlexTensor,
    gradient: &FlexTensor,
    options: ConvOptions,
) -> FlexTensor {
    let size = dims(&sum);
    let shape = shape_of(size, dims(weight), options);
    let (gradient, weight) = (channels_last(gradient), contiguous(weight));
    let mut sum = into_channels_last(sum);
    let start = sum.layout().start_offset();
    let values = &mut sum.storage_mut::<f32>()[start..][..shape.input_len()];
    kernels::add_conv2d_input_gradient(Arch::new(), &gradient, &weight, &shape, values);
    sum
}

/// The gradient of the weight of a convolution, given its dims.
pub(super) fn weight_gradient(
    input: &FlexTensor,
    weight: [usize; 4],
    gradient: &FlexTensor,
    options: ConvOptions,
) -> FlexTensor {
    let shape = shape_of(dims(input), weight, options);
    let (input, gradient) = (channels_last(input), channels_last(gradient));
    let values = kernels::conv2d_weight_gradient(Arch::new(), &input, &gradient, &shape);
    tensor(values, weight)
}

/// A normalized map, with the values that its gradient needs.
pub(super) struct Normalized {
    pub output: FlexTensor,
    pub mean: FlexTensor,
    pub variance: FlexTensor,
    pub affine: Affine,
    pub inverse_deviation: Vec<f32>,
}

pub(super) fn normalize(
    input: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    residual: Option<&FlexTensor>,
    options: NormOptions,
) -> Normalized {
    let size = dims(input);
    let [_, channels, _, _] = size;
    let (weight, bias) = (contiguous(weight), contiguous(bias));
    assert!(
        weight.len() == channels && bias.len() == channels,
        "batch_norm: an input {size:?}, but {} weights and {} biases",
        weight.len(),
        bias.len()
    );
    let residual = residual.map(|residual| {
        assert_eq!(dims(residual), size, "batch_norm: the residual's shape");
        channels_last(residual)
    });
    let arch = Arch::new();
    let x = channels_last(input);
    let statistics = kernels::statistics(arch, &x, channels);
    let inverse_deviation: Vec<f32> = (statistics.variance.iter())
        .map(|&variance| (1.0 / (f64::from(variance) + options.epsilon).sqrt()) as f32)
        .collect();
    let scale = (weight.iter().zip(&inverse_deviation))
        .map(|(weight, inverse)| weight * inverse)
        .collect();
    let affine = Affine {
        mean: statistics.mean.clone(),
        scale,
        shift: bias.into_owned(),
    };
    let output = kernels::normalize(arch, &x, &affine, residual.as_deref(), options.relu);
    Normalized {
        output: map_from(output, size),
        mean: tensor(statistics.mean, [channels]),
        variance: tensor(statistics.variance, [channels]),
        affine,
        inverse_deviation,
    }
}

fn pool_shape(input: [usize; 4], options: MaxPoolOptions) -> MaxPoolShape {
    let [batch, channels, height, width] = input;
    MaxPoolShape {
        batch,
        channels,
        input: [height, width],
        kernel: options.kernel,
        stride: options.stride,
        padding: options.padding,
    }
}

/// The output, and the tap of each largest value.
pub(super) fn max_pool(input: &FlexTensor, options: MaxPoolOptions) -> (FlexTensor, Vec<u8>) {
    let size @ [batch, channels, _, _] = dims(input);
    let shape = pool_shape(size, options);
    let [height, width] = shape.output();
    let (values, taps) = kernels::max_pool(Arch::new(), &channels_last(input), &shape);
    (map_from(values, [batch, channels, height, width]), taps)
}

pub(super) fn max_pool_gradient(
    input: [usize; 4],
    taps: &[u8],
    gradient: &FlexTensor,
    options: MaxPoolOptions,
) -> FlexTensor {
    let shape = pool_shape(input, options);
    let gradient = channels_last(gradient);
    let values = kernels::max_pool_backward(Arch::new(), &gradient, taps, &shape);
    map_from(values, input)
}

pub(super) fn mean_pool_gradient(input: [usize; 4], gradient: &FlexTensor) -> FlexTensor {
    let [_, channels, height, width] = input;
    let gradient = channels_last(gradient);
    map_from(
        kernels::mean_pool_backward(&gradient, height * width, channels),
        input,
    )
}
