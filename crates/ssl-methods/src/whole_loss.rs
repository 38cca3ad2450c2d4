//! The loss of embeddings that came from several passes through a network.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::{BaseMethod, MethodOutput, RunPosition};

/// The loss of all embeddings of a batch, differentiated.
pub(crate) struct WholeLoss {
    /// The method's output, with graph.
    pub output: MethodOutput,
    /// The loss that is minimized.
    pub loss: Tensor<1>,
    /// Gradients of the parameters beyond the projector.
    pub gradients: GradientsParams,
    /// dLoss/dZ, `[n, d]` for each view; none for a view that the loss does not depend on.
    pub directions: Vec<Option<Tensor<2>>>,
}

impl WholeLoss {
    /// Computes and differentiates the loss of embeddings without a graph.
    pub(crate) fn of<M: BaseMethod>(
        method: &mut M,
        embeddings: Vec<Tensor<2>>,
        position: RunPosition,
        loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
    ) -> Self {
        let leaf = |z: Tensor<2>| z.autodiff().require_grad();
        let embeddings: Vec<_> = embeddings.into_iter().map(leaf).collect();
        let output = method.loss(embeddings.clone(), position);
        let loss = loss(&output);
        let mut gradients = loss.backward();
        let directions = embeddings
            .iter()
            .map(|z| z.grad_remove(&mut gradients))
            .collect();
        Self {
            gradients: GradientsParams::from_grads(gradients, method),
            output,
            loss,
            directions,
        }
    }
}
