//! The convolutions of the network: parameters in Burn's `Conv2d`.

use burn::module::Initializer;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

/// Creates a square convolution without bias, padded by half its (odd) kernel, with torchvision's
/// initialization.
pub(crate) fn conv(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    stride: usize,
    device: &Device,
) -> Conv2d {
    padded_conv(
        channels_in,
        channels_out,
        kernel,
        stride,
        kernel / 2,
        device,
    )
}

/// As [`conv`], with another padding.
pub(crate) fn padded_conv(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    device: &Device,
) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: std::f64::consts::SQRT_2,
            fan_out_only: true,
        })
        .init(device)
}

/// The zeros on each side of the input.
pub(crate) fn padding(conv: &Conv2d) -> usize {
    match conv.padding {
        PaddingConfig2d::Explicit(padding, ..) => padding,
        _ => conv.kernel_size[0] / 2,
    }
}

/// Computes `conv.forward(input)`, with the fast convolution if there is one. An input of another
/// float type than the weight's is convolved in that type: mixed precision.
///
/// # Shapes
///
/// - input `[n, channels_in, h, w]`
/// - output `[n, channels_out, ceil(h / stride), ceil(w / stride)]`, if padded by half the kernel
pub(crate) fn convolve(conv: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if burn_flex_conv::covers(&input) {
        return burn_flex_conv::conv2d(input, conv.weight.val(), options(conv));
    }
    let (dtype, weight) = (input.dtype(), conv.weight.val());
    if dtype == weight.dtype() {
        return conv.forward(input);
    }
    let options = ConvOptions::new(conv.stride, [padding(conv); 2], conv.dilation, conv.groups);
    module::conv2d(input, weight.cast(dtype), None, options)
}

/// Stride and padding of the convolution.
#[cfg(feature = "flex")]
pub(crate) fn options(conv: &Conv2d) -> burn_flex_conv::ConvOptions {
    burn_flex_conv::ConvOptions {
        stride: conv.stride,
        padding: [padding(conv); 2],
        dilation: conv.dilation,
    }
}
