//! The kernels as operations of Burn, through its backend extension.

mod autodiff;
mod flex;
mod joint;
mod options;
mod tensors;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
use burn::tensor::{DType, Device, Tensor};

pub use joint::JointInput;
pub use options::{ConvOptions, MaxPoolOptions, NormOptions};

/// The operations. Feature maps are f32, `[n, channels, height, width]`, in any layout. Results
/// have the channels last in memory.
#[backend_extension(Autodiff, Flex)]
pub trait FlexConv: Backend {
    /// A convolution; the weight is `[channels_out, channels_in, kernel height, kernel width]`.
    fn flex_conv2d(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: ConvOptions,
    ) -> FloatTensor<Self>;

    /// As [`flex_conv2d`](Self::flex_conv2d), with the gradient of the input added to that of
    /// another operation.
    fn flex_conv2d_joint(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: ConvOptions,
        joint: JointInput,
    ) -> FloatTensor<Self>;

    /// A convolution, times `scale` plus `shift` of each output channel, and a ReLU if requested.
    /// Not differentiable.
    fn flex_conv2d_affine(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: ConvOptions,
        relu: bool,
    ) -> FloatTensor<Self>;

    /// As [`flex_conv2d_affine`](Self::flex_conv2d_affine), with a residual added before the ReLU.
    fn flex_conv2d_residual(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        options: ConvOptions,
        relu: bool,
    ) -> FloatTensor<Self>;

    /// Batch normalization with batch statistics. Returns the output, the mean and the biased
    /// variance. Only the output is differentiable.
    fn flex_batch_norm(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: NormOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// As [`flex_batch_norm`](Self::flex_batch_norm), with a residual added before the ReLU.
    fn flex_batch_norm_residual(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        options: NormOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// As [`flex_batch_norm_residual`](Self::flex_batch_norm_residual), but leaves the gradient of
    /// the residual in `joint`, for the convolution that uses it. The residual itself must not
    /// require a gradient.
    fn flex_batch_norm_joint(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        options: NormOptions,
        joint: JointInput,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Max pooling.
    fn flex_max_pool2d(input: FloatTensor<Self>, options: MaxPoolOptions) -> FloatTensor<Self>;

    /// The mean over height and width, `[n, channels, 1, 1]`.
    fn flex_mean_pool2d(input: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Whether the operations support tensors on this device: Flex, with or without autodiff.
pub fn covers_device(device: &Device) -> bool {
    fn covered(device: &DispatchDevice) -> bool {
        match device {
            DispatchDevice::Flex(_) => true,
            DispatchDevice::Autodiff(inner) => covered(inner),
            #[allow(unreachable_patterns)] // which others there are depends on Burn's features
            _ => false,
        }
    }
    covered(device.as_dispatch())
}

/// Whether the operations support this tensor: f32, on Flex.
pub fn covers<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && covers_device(&tensor.device())
}

/// A convolution without bias and groups.
///
/// # Shapes
///
/// - input `[n, channels_in, height, width]`, weight
///   `[channels_out, channels_in, kernel height, kernel width]`
/// - output `[n, channels_out, output height, output width]`
///
/// # Panics
///
/// If [`covers`] is false, or shapes do not match.
pub fn conv2d(input: Tensor<4>, weight: Tensor<4>, options: ConvOptions) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as FlexConv>::flex_conv2d(
        input.into_dispatch(),
        weight.into_dispatch(),
        options,
    ))
}

/// As [`conv2d`], but adds the gradient of the input to the gradient of the other operation that
/// uses `joint`: another `conv2d_joint` of the same input, or a [`batch_norm_joint`] with this
/// input as its residual.
///
/// # Panics
///
/// As [`conv2d`].
pub fn conv2d_joint(
    input: Tensor<4>,
    weight: Tensor<4>,
    options: ConvOptions,
    joint: &JointInput,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as FlexConv>::flex_conv2d_joint(
        input.into_dispatch(),
        weight.into_dispatch(),
        options,
        joint.clone(),
    ))
}

/// A convolution for inference: times `scale` plus `shift`, both `[channels_out]`, plus an optional
/// residual of the output's shape, and a ReLU if `relu`. This folds in a batch normalization with
/// running statistics at no extra pass.
///
/// # Panics
///
/// As [`conv2d`], or on an autodiff device.
pub fn conv2d_affine(
    input: Tensor<4>,
    weight: Tensor<4>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    residual: Option<Tensor<4>>,
    options: ConvOptions,
    relu: bool,
) -> Tensor<4> {
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    let (scale, shift) = (scale.into_dispatch(), shift.into_dispatch());
    Tensor::from_dispatch(match residual {
        None => {
            <Dispatch as FlexConv>::flex_conv2d_affine(input, weight, scale, shift, options, relu)
        }
        Some(residual) => <Dispatch as FlexConv>::flex_conv2d_residual(
            input,
            weight,
            scale,
            shift,
            residual.into_dispatch(),
            options,
            relu,
        ),
    })
}

/// The result of [`batch_norm`].
#[derive(Debug, Clone)]
pub struct BatchNormOutput {
    /// The normalized values, `[n, channels, height, width]`.
    pub output: Tensor<4>,
    /// The mean of the batch, `[channels]`, without gradient.
    pub mean: Tensor<1>,
    /// The biased variance of the batch, `[channels]`, without gradient.
    pub variance: Tensor<1>,
}

/// Batch normalization with batch statistics, plus an optional residual of the input's shape, and a
/// ReLU if `options.relu`.
///
/// # Shapes
///
/// - input `[n, channels, height, width]`; weight and bias `[channels]`
///
/// # Panics
///
/// If [`covers`] is false, or shapes do not match.
pub fn batch_norm(
    input: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    residual: Option<Tensor<4>>,
    options: NormOptions,
) -> BatchNormOutput {
    let input = input.into_dispatch();
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    let (output, mean, variance) = match residual {
        None => <Dispatch as FlexConv>::flex_batch_norm(input, weight, bias, options),
        Some(residual) => <Dispatch as FlexConv>::flex_batch_norm_residual(
            input,
            weight,
            bias,
            residual.into_dispatch(),
            options,
        ),
    };
    BatchNormOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// As [`batch_norm`] with a residual, but adds the gradient of the residual to the gradient of the
/// convolution that uses `joint`.
///
/// # Panics
///
/// As [`batch_norm`].
pub fn batch_norm_joint(
    input: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    residual: Tensor<4>,
    options: NormOptions,
    joint: &JointInput,
) -> BatchNormOutput {
    let (output, mean, variance) = <Dispatch as FlexConv>::flex_batch_norm_joint(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        residual.detach().into_dispatch(),
        options,
        joint.clone(),
    );
    BatchNormOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Max pooling over square windows. Padding is never the largest value.
///
/// # Shapes
///
/// - input `[n, channels, height, width]`
///
/// # Panics
///
/// If [`covers`] is false, or no window fits.
pub fn max_pool2d(input: Tensor<4>, options: MaxPoolOptions) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as FlexConv>::flex_max_pool2d(
        input.into_dispatch(),
        options,
    ))
}

/// The mean over height and width.
///
/// # Shapes
///
/// - input `[n, channels, height, width]`, output `[n, channels]`
///
/// # Panics
///
/// If [`covers`] is false.
pub fn mean_pool2d(input: Tensor<4>) -> Tensor<2> {
    let [n, channels, _, _] = input.dims();
    let mean = <Dispatch as FlexConv>::flex_mean_pool2d(input.into_dispatch());
    Tensor::<4>::from_dispatch(mean).reshape([n, channels])
}
