//! A convolution with its batch normalisation, and what follows it.

use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::batch_norm::BatchNorm;
use crate::conv::convolve;

/// Convolves and normalises, adds the residual if there is one, and applies a ReLU.
///
/// # Shapes
/// - input `[n, channels_in, h, w]`; residual and output `[n, channels_out, h', w']`
pub(crate) fn conv_norm_relu(
    conv: &Conv2d,
    norm: &BatchNorm,
    input: Tensor<4>,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if burn_flex_conv::covers(&input) && fits(norm, &input) {
        return fused(conv, norm, input, residual, true);
    }
    let out = norm.forward(convolve(conv, input));
    relu(match residual {
        Some(residual) => out + residual,
        None => out,
    })
}

/// Convolves and normalises.
pub(crate) fn conv_norm(conv: &Conv2d, norm: &BatchNorm, input: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if burn_flex_conv::covers(&input) && fits(norm, &input) {
        return fused(conv, norm, input, None, false);
    }
    norm.forward(convolve(conv, input))
}

/// Frozen statistics under autodiff have no fused form.
#[cfg(feature = "flex")]
fn fits(norm: &BatchNorm, input: &Tensor<4>) -> bool {
    norm.uses_batch(input) || !input.device().is_autodiff()
}

#[cfg(feature = "flex")]
fn fused(
    conv: &Conv2d,
    norm: &BatchNorm,
    input: Tensor<4>,
    residual: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    use crate::conv::options;

    if norm.uses_batch(&input) {
        return norm.forward_fused(convolve(conv, input), residual, relu);
    }
    let [scale, shift] = norm.scale_and_shift_of_running(&input.device());
    let weight = conv.weight.val();
    burn_flex_conv::conv2d_affine(input, weight, scale, shift, residual, options(conv), relu)
}
