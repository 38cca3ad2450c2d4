use burn::backend::AutodiffBackend;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{FusedCriterion, ViewCriterion};

/// The forward pass has already computed the gradient of the loss: backward only scales it.
#[derive(Debug)]
struct ScaleGradient;

impl<B: FusedCriterion> Backward<B, 1> for ScaleGradient {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let factor = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::e2mc_scale(ops.state, factor));
        }
    }
}

impl<B: FusedCriterion, C: CheckpointStrategy> FusedCriterion for Autodiff<B, C> {
    fn e2mc(z: FloatTensor<Self>, view: ViewCriterion) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match ScaleGradient
            .prepare::<C>([z.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let (loss, terms, gradient) = B::e2mc_with_gradient(z.into_primitive(), view);
                (prep.finish(gradient, loss), Self::from_inner(terms))
            }
            OpsKind::UnTracked(prep) => {
                let (loss, terms) = B::e2mc(z.into_primitive(), view);
                (prep.finish(loss), Self::from_inner(terms))
            }
        }
    }

    fn e2mc_with_gradient(
        z: FloatTensor<Self>,
        view: ViewCriterion,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (loss, terms, gradient) = B::e2mc_with_gradient(z.into_primitive(), view);
        (
            Self::from_inner(loss),
            Self::from_inner(terms),
            Self::from_inner(gradient),
        )
    }

    fn e2mc_scale(gradient: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::e2mc_scale(
            gradient.into_primitive(),
            factor.into_primitive(),
        ))
    }
}
