use burn::module::Module;
use burn::tensor::Tensor;

use crate::{CompactSpace, NotFinite, marginal_entropy, off_diagonal_covariance};

/// The E2MC criterion: maximum entropy of every one-dimensional marginal, and no correlation
/// between dimensions, of embeddings mapped onto a compact space. Add it to the loss of a
/// self-supervised method (the paper's eq. 6).
///
/// Created by [`E2mcLossConfig`](crate::E2mcLossConfig).
#[derive(Module, Debug)]
pub struct E2mcLoss {
    /// The compact space.
    #[module(skip)]
    pub space: CompactSpace,
    /// Weight of the entropy (beta).
    #[module(skip)]
    pub entropy_weight: f64,
    /// Weight of the covariance (gamma).
    #[module(skip)]
    pub covariance_weight: f64,
    /// Spacing order m, or `None` for round(sqrt(n)) of each view.
    #[module(skip)]
    pub spacing: Option<usize>,
    /// Added to each scaled spacing before the logarithm.
    #[module(skip)]
    pub epsilon: f64,
}

/// The result of [`E2mcLoss::forward`]: f32 scalars of shape \[1\], on the device of the
/// embeddings.
#[derive(Debug, Clone)]
pub struct E2mcOutput {
    /// `covariance_weight * covariance - entropy_weight * entropy`, to add to the base loss.
    /// Carries the gradient.
    pub loss: Tensor<1>,
    /// Marginal entropy in nats, averaged over dimensions and views. Detached, for logging. From
    /// `ln(epsilon)` (all columns collapsed) to `ln((n+1)/(n-m) + epsilon)`; independent uniform
    /// samples give about `-1/(2m)`. Training should raise it toward that value. See
    /// [`marginal_entropy`].
    pub entropy: Tensor<1>,
    /// Off-diagonal covariance in the compact space, averaged over dimensions and summed over
    /// views. Detached, for logging. From 0 to `V (d-1) (n/(4(n-1)))^2` for V views; V views of
    /// independent uniform columns give about `V (d-1) / (144 (n-1))`. Training should lower it
    /// toward that value. See [`off_diagonal_covariance`].
    pub covariance: Tensor<1>,
}

impl E2mcOutput {
    /// Checks that the loss is finite. Only a NaN or infinite embedding makes it NaN; nothing
    /// panics.
    ///
    /// This reads the loss, so it waits for the device. Call it where you log.
    ///
    /// # Errors
    ///
    /// [`NotFinite`] if the loss is NaN or infinite.
    pub fn check_finite(&self) -> Result<(), NotFinite> {
        let loss: f32 = self.loss.clone().into_scalar();
        if loss.is_finite() {
            Ok(())
        } else {
            Err(NotFinite { loss })
        }
    }
}

impl E2mcLoss {
    /// Computes the criterion on any number of views.
    ///
    /// Computed in f32 whatever the dtype of the embeddings, and returned in f32; the gradient
    /// comes back in the dtype of the embeddings. Pass the projector's output without
    /// normalization. In data-parallel training, pass the embeddings gathered from all devices,
    /// with gradient.
    ///
    /// Columns with tied or collapsed samples have gradients of up to about
    /// `entropy_weight / (m d epsilon)`. With weights in the hundreds, these can exceed the range
    /// of f16 (not of bf16). So cast f16 embeddings to f32 if the entropy weight is large.
    ///
    /// A NaN or infinite embedding makes the loss and the entropy NaN; [`E2mcOutput::check_finite`]
    /// detects it.
    ///
    /// On Flex (feature `flex`) and on GPUs (features `cuda`, `wgpu`, `vulkan`, `metal`, `rocm`)
    /// this is one fused operation that also computes the gradient. On any other device, or without
    /// the feature, it is [`forward_composed`](Self::forward_composed). Samples of equal value in a
    /// column are ordered by their row, as a stable sort does.
    ///
    /// # Shapes
    ///
    /// - views: one or more of \[n, d\]; n may differ between views
    /// - output: scalars of shape \[1\]
    ///
    /// # Panics
    ///
    /// If there is no view, if views differ in d, if a view has n < 2 or d = 0, or if the spacing
    /// order is not less than n.
    pub fn forward(&self, views: &[Tensor<2>]) -> E2mcOutput {
        self.over_views(views, Self::view_terms)
    }

    /// Computes the criterion with composed tensor operations, on any device. The fused operation
    /// is tested against it. It is slower, and the gradients of tied values depend on the backend's
    /// sort.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_composed(&self, views: &[Tensor<2>]) -> E2mcOutput {
        self.over_views(views, Self::composed_view)
    }

    fn over_views(
        &self,
        views: &[Tensor<2>],
        view_terms: impl Fn(&Self, &Tensor<2>, f64) -> ViewTerms,
    ) -> E2mcOutput {
        let (first, rest) = views
            .split_first()
            .expect("the E2MC criterion needs at least one view, found none");
        // The released code's convention: entropy averaged over views, covariance summed.
        let share = 1.0 / views.len() as f64;
        let mut terms = view_terms(self, first, share);
        for view in rest {
            assert!(
                view.dims()[1] == first.dims()[1],
                "views must have the same number of dimensions, found [n, d] = {:?} and {:?}",
                first.dims(),
                view.dims(),
            );
            let view = view_terms(self, view, share);
            terms = ViewTerms {
                loss: terms.loss + view.loss,
                entropy: terms.entropy + view.entropy,
                covariance: terms.covariance + view.covariance,
            };
        }
        E2mcOutput {
            loss: terms.loss,
            entropy: terms.entropy * share,
            covariance: terms.covariance,
        }
    }

    /// Computes one view, with the fused operation if the device has it.
    fn view_terms(&self, view: &Tensor<2>, share: f64) -> ViewTerms {
        #[cfg(any(feature = "flex", feature = "cubecl"))]
        if crate::fused::covers(&view.device()) {
            return self.fused_view(view, share);
        }
        self.composed_view(view, share)
    }

    #[cfg(any(feature = "flex", feature = "cubecl"))]
    fn fused_view(&self, view: &Tensor<2>, share: f64) -> ViewTerms {
        let [n, d] = view.dims();
        let spacing = self.spacing_for(n);
        crate::entropy::check_view(n, d, spacing);
        let (loss, terms) = crate::fused::criterion(
            view.clone().cast(burn::tensor::FloatDType::F32),
            crate::fused::ViewCriterion {
                space: self.space,
                spacing,
                epsilon: self.epsilon as f32,
                entropy_weight: (self.entropy_weight * share) as f32,
                covariance_weight: self.covariance_weight as f32,
            },
        );
        ViewTerms {
            loss,
            entropy: terms.clone().slice_dim(0, 0..1),
            covariance: terms.slice_dim(0, 1..2),
        }
    }

    fn composed_view(&self, view: &Tensor<2>, share: f64) -> ViewTerms {
        let spacing = self.spacing_for(view.dims()[0]);
        let entropy = marginal_entropy(view.clone(), self.space, spacing, self.epsilon).mean();
        let covariance = off_diagonal_covariance(self.space.transform(view.clone()));
        let loss = covariance.clone() * self.covariance_weight
            - entropy.clone() * (self.entropy_weight * share);
        ViewTerms {
            loss,
            entropy: entropy.detach(),
            covariance: covariance.detach(),
        }
    }

    /// The spacing order for a view of `n` samples; by default the paper's round(sqrt(n)), which is
    /// less than n for every n >= 2.
    fn spacing_for(&self, n: usize) -> usize {
        self.spacing
            .unwrap_or_else(|| (n as f64).sqrt().round() as usize)
    }
}

/// One view's part of the output: its loss, with gradient, its entropy averaged over dimensions,
/// and its covariance, each \[1\].
struct ViewTerms {
    loss: Tensor<1>,
    entropy: Tensor<1>,
    covariance: Tensor<1>,
}
