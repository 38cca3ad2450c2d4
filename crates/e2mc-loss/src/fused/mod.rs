//! The criterion of one view as one operation with a hand-written gradient, through Burn's backend
//! extension: on Flex (the CPU) and on every CubeCL runtime (GPUs).

mod autodiff;
#[cfg(feature = "cubecl")]
mod cube;
#[cfg(feature = "flex")]
mod flex;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
use burn::tensor::{Device, Tensor};

use crate::CompactSpace;

/// Options of the criterion for one view.
#[derive(Debug, Clone, Copy)]
pub struct ViewCriterion {
    /// The compact space.
    pub space: CompactSpace,
    /// Spacing order m, from 1 to n - 1.
    pub spacing: usize,
    /// Added to each scaled spacing.
    pub epsilon: f32,
    /// Weight of this view's entropy in the loss.
    pub entropy_weight: f32,
    /// Weight of this view's covariance in the loss.
    pub covariance_weight: f32,
}

/// The fused operation, per backend. `z` is f32, \[n, d\], n >= 2, d >= 1.
///
/// The loss is `covariance_weight * covariance - entropy_weight * entropy`; the terms are
/// `[entropy, covariance]`, the entropy averaged over dimensions.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cubecl"),
    Fusion: cfg(feature = "cubecl")
)]
pub trait FusedCriterion: Backend {
    /// Loss \[1\] and terms \[2\]. The only function that is differentiable on `Autodiff`; only the
    /// loss carries the gradient.
    #[fusion(meta = loss_and_terms)]
    fn e2mc(z: FloatTensor<Self>, view: ViewCriterion) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Loss \[1\], terms \[2\], and the gradient of the loss with respect to `z`, \[n, d\].
    #[fusion(meta = loss_terms_and_gradient)]
    fn e2mc_with_gradient(
        z: FloatTensor<Self>,
        view: ViewCriterion,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient times `factor`, \[1\].
    #[fusion(dtype = gradient, shape = gradient)]
    fn e2mc_scale(gradient: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self>;
}

#[cfg(feature = "cubecl")]
use burn::backend::fusion::custom::TensorSpec;

#[cfg(feature = "cubecl")]
fn loss_and_terms(z: &TensorSpec, _: &ViewCriterion) -> (TensorSpec, TensorSpec) {
    let vector = |length: usize| TensorSpec::new(burn::tensor::Shape::new([length]), z.dtype);
    (vector(1), vector(2))
}

#[cfg(feature = "cubecl")]
fn loss_terms_and_gradient(
    z: &TensorSpec,
    view: &ViewCriterion,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    let (loss, terms) = loss_and_terms(z, view);
    (loss, terms, z.clone())
}

/// Whether this build has the fused operation for the device.
pub(crate) fn covers(device: &Device) -> bool {
    fn covered(device: &DispatchDevice) -> bool {
        match device {
            #[cfg(feature = "flex")]
            DispatchDevice::Flex(_) => true,
            #[cfg(feature = "cubecl")]
            DispatchDevice::Cube(_) => true,
            DispatchDevice::Autodiff(inner) => covered(inner),
            #[allow(unreachable_patterns)] // which others there are depends on Burn's features
            _ => false,
        }
    }
    covered(device.as_dispatch())
}

/// Loss \[1\], with gradient, and terms \[2\] of one view, \[n, d\] f32, on a device that
/// [`covers`] accepts.
pub(crate) fn criterion(z: Tensor<2>, view: ViewCriterion) -> (Tensor<1>, Tensor<1>) {
    let (loss, terms) = <Dispatch as FusedCriterion>::e2mc(z.into_dispatch(), view);
    (Tensor::from_dispatch(loss), Tensor::from_dispatch(terms))
}
