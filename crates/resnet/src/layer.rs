//! A convolution, its batch normalization, and the operations that follow.

use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::batch_norm::BatchNorm;
use crate::conv::convolve;

/// Adds the gradients of a block's two paths in place.
#[cfg(feature = "flex")]
pub(crate) type Joint = burn_flex_conv::JointInput;
/// Without the fast operations, Burn adds the gradients.
#[cfg(not(feature = "flex"))]
#[derive(Default)]
pub(crate) struct Joint;

/// A joint for a block with these normalizations, if all of its operations support it.
pub(crate) fn joint<'a>(
    norms: impl IntoIterator<Item = &'a BatchNorm>,
    input: &Tensor<4>,
) -> Option<Joint> {
    let fused = |norm| fits(norm, input) && norm.uses_batch(input);
    norms.into_iter().all(fused).then(Joint::default)
}

/// Convolves and normalizes, then applies a ReLU if `activate`. `joint`, if any, belongs to the
/// input.
///
/// # Shapes
///
/// - input `[n, channels_in, h, w]`, output `[n, channels_out, h', w']`
pub(crate) fn conv_norm(
    conv: &Conv2d,
    norm: &BatchNorm,
    input: Tensor<4>,
    joint: Option<&Joint>,
    activate: bool,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if fits(norm, &input) {
        if !norm.uses_batch(&input) {
            return with_running_statistics(conv, norm, input, None, activate);
        }
        let out = match joint {
            Some(joint) => {
                let (weight, options) = (conv.weight.val(), crate::conv::options(conv));
                burn_flex_conv::conv2d_joint(input, weight, options, joint)
            }
            None => convolve(conv, input),
        };
        return norm.forward_fused(out, None, activate);
    }
    let _ = joint;
    let out = norm.forward(convolve(conv, input));
    match activate {
        true => relu(out),
        false => out,
    }
}

/// Convolves and normalizes, adds the residual, and applies a ReLU. `joint`, if any, belongs to the
/// residual.
///
/// # Shapes
///
/// - input `[n, channels_in, h, w]`; residual and output `[n, channels_out, h', w']`
pub(crate) fn conv_norm_add_relu(
    conv: &Conv2d,
    norm: &BatchNorm,
    input: Tensor<4>,
    residual: Tensor<4>,
    joint: Option<&Joint>,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if fits(norm, &input) {
        if !norm.uses_batch(&input) {
            return with_running_statistics(conv, norm, input, Some(residual), true);
        }
        return norm.forward_fused(convolve(conv, input), Some((residual, joint)), true);
    }
    let _ = joint;
    relu(norm.forward(convolve(conv, input)) + residual)
}

/// Whether there is a fused form: frozen statistics under autodiff have none, nor have synchronized
/// ones.
fn fits(norm: &BatchNorm, input: &Tensor<4>) -> bool {
    #[cfg(feature = "flex")]
    return burn_flex_conv::covers(input)
        && match input.device().is_autodiff() {
            true => norm.uses_batch(input) && !crate::sync::active(),
            false => true,
        };
    #[cfg(not(feature = "flex"))]
    {
        let _ = (norm, input);
        false
    }
}

/// One pass: the normalization is a scale and a shift of each output channel.
#[cfg(feature = "flex")]
fn with_running_statistics(
    conv: &Conv2d,
    norm: &BatchNorm,
    input: Tensor<4>,
    residual: Option<Tensor<4>>,
    activate: bool,
) -> Tensor<4> {
    let [scale, shift] = norm.scale_and_shift_of_running(&input.device());
    let (weight, options) = (conv.weight.val(), crate::conv::options(conv));
    burn_flex_conv::conv2d_affine(input, weight, scale, shift, residual, options, activate)
}
