//! The convolutions of the network: parameters in Burn's `Conv2d`, computed as a matrix product where that is faster.

use burn::module::Initializer;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, s};

/// Up to this many output positions per image, one matrix product over the whole batch beats a convolution that
/// multiplies image by image. Measured on Flex; at 16 positions both are equal.
const FEW_POSITIONS: usize = 9;

/// Creates a square convolution without bias, padded by half its (odd) kernel, with torchvision's initialisation.
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

/// Applies a convolution made by [`padded_conv`]: the value of `conv.forward(input)`, computed in the fastest way.
///
/// # Shapes
/// - input `[n, channels_in, h, w]`
/// - output `[n, channels_out, ceil(h / stride), ceil(w / stride)]`, if padded by half the kernel
pub(crate) fn convolve(conv: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let [kernel, _] = conv.kernel_size;
    let [stride, _] = conv.stride;
    let [_, _, h, w] = input.dims();
    if padding(conv) != kernel / 2 {
        return conv.forward(input);
    }
    if h.div_ceil(stride) * w.div_ceil(stride) <= FEW_POSITIONS {
        product_over_batch(conv, input)
    } else if kernel == 1 {
        product_per_image(conv, input)
    } else {
        conv.forward(input)
    }
}

/// A 1x1 convolution is a product with each image's `[channels, positions]`; the gradient of the product is several
/// times faster than that of Burn's convolution.
fn product_per_image(conv: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let [channels_out, channels_in, _, _] = conv.weight.dims();
    let [stride, _] = conv.stride;
    let input = match stride {
        1 => input,
        _ => input.slice(s![.., .., ..;stride, ..;stride]),
    };
    let [n, _, h, w] = input.dims();
    conv.weight
        .val()
        .reshape([1, channels_out, channels_in])
        .matmul(input.reshape([n, channels_in, h * w]))
        .reshape([n, channels_out, h, w])
}

/// Writes each output position's patch as a row, and multiplies all rows of the batch at once.
fn product_over_batch(conv: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let [channels_out, channels_in, kernel, _] = conv.weight.dims();
    let [stride, _] = conv.stride;
    let [n, _, h, w] = input.dims();
    let (h_out, w_out) = (h.div_ceil(stride), w.div_ceil(stride));
    let padding = kernel / 2;

    let padded = input.permute([0, 2, 3, 1]).pad(
        [(0, 0), (padding, padding), (padding, padding), (0, 0)],
        0.0,
    );
    let (h_span, w_span) = ((h_out - 1) * stride + 1, (w_out - 1) * stride + 1);
    let shifted = (0..kernel * kernel)
        .map(|tap| {
            let (y, x) = (tap / kernel, tap % kernel);
            padded
                .clone()
                .slice(s![.., y..y + h_span;stride, x..x + w_span;stride, ..])
        })
        .collect();
    let patches =
        Tensor::cat(shifted, 3).reshape([n * h_out * w_out, kernel * kernel * channels_in]);
    let weight = conv
        .weight
        .val()
        .permute([2, 3, 1, 0])
        .reshape([kernel * kernel * channels_in, channels_out]);
    patches
        .matmul(weight)
        .reshape([n, h_out, w_out, channels_out])
        .permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    /// The products equal Burn's convolution, in value and in both gradients.
    #[test]
    fn products_equal_the_convolution() {
        let device = Device::flex().autodiff();
        let cases = [
            (1, 1, 5, 7),
            (1, 2, 5, 7),
            (1, 2, 8, 6),
            (3, 1, 2, 3),
            (3, 2, 5, 4),
            (3, 2, 1, 1),
        ];
        for (kernel, stride, h, w) in cases {
            let layer = conv(3, 4, kernel, stride, &device);
            let input = Tensor::random([2, 3, h, w], Distribution::Normal(0.0, 1.0), &device);
            let evaluate = |f: &dyn Fn(Tensor<4>) -> Tensor<4>| {
                let input = input.clone().detach().require_grad();
                let output = f(input.clone());
                let grads = (output.clone() * output.clone()).sum().backward();
                [
                    output.into_data(),
                    input.grad(&grads).unwrap().into_data(),
                    layer.weight.val().grad(&grads).unwrap().into_data(),
                ]
            };
            let expected = evaluate(&|x| layer.forward(x));
            let mut found = vec![evaluate(&|x| product_over_batch(&layer, x))];
            if kernel == 1 {
                found.push(evaluate(&|x| product_per_image(&layer, x)));
            }
            for found in found {
                for (found, expected) in found.iter().zip(&expected) {
                    // Sums in another order.
                    found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-4, 1e-4));
                }
            }
        }
    }
}
