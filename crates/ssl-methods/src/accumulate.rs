//! Gradients of a large batch on a small device.

use burn::optim::GradientsAccumulator;
use burn::tensor::Tensor;

use crate::pieces::{backward_pieces, embed_pieces, image_count, pieces_of};
use crate::whole_loss::WholeLoss;
use crate::{BaseMethod, MethodOutput, RunPosition, Step, leaves_single_image};

/// A [step](BaseMethod::step) with the gradients of the whole batch's loss. The batch passes
/// through backbone and projector in pieces of at most `micro_batch` images. Only one piece's
/// activations are in memory at a time.
///
/// Summing the gradients of pieces would minimize another loss: covariance, entropy, codes and
/// cross-correlation depend on all samples together, and E2MC's estimate needs many. So the batch
/// is passed twice:
///
/// 1. The embeddings Z of all pieces are computed without a graph.
/// 2. The loss of all Z is computed and differentiated: this gives dLoss/dZ and the gradients of
///    the parameters beyond the projector (predictor, prototypes).
/// 3. Each piece is passed again, with a graph, and its part of dLoss/dZ is backpropagated.
///
/// Up to rounding, the gradients equal those of the whole batch at once. A step costs one more
/// forward pass. If `micro_batch` holds the whole batch, the step is an ordinary one.
///
/// One difference remains: **batch normalization in backbone and projector takes its statistics
/// from each piece**, and updates its running statistics once per piece. The predictor and Barlow
/// Twins' last normalization belong to the loss and see the whole batch.
///
/// `loss` receives the output for all Z and returns the loss to minimize: `output.loss`, plus a
/// criterion if you use one. The views must be on an autodiff device.
///
/// ```no_run
/// # use burn::prelude::*;
/// # use ssl_methods::{BaseMethod, RunPosition, accumulated_gradients};
/// # use ssl_methods::{criterion::Criterion, optim::SgdConfig};
/// # fn step<M: BaseMethod>(
/// #     mut method: M,
/// #     views: Vec<Tensor<4>>,
/// #     criterion: &Criterion,
/// #     position: RunPosition,
/// # ) -> M {
/// # let mut optimizer = SgdConfig::new().init();
/// let step = accumulated_gradients(&mut method, views, 32, position, |output| {
///     match criterion.forward(&output.embeddings, &output.small_crops) {
///         Some(add_on) => output.loss.clone() + add_on.loss,
///         None => output.loss.clone(),
///     }
/// });
/// method = optimizer.step(0.01, method, step.gradients);
/// # method
/// # }
/// ```
///
/// # Panics
///
/// If `micro_batch` < 2, if the last piece would be a single image, which has no batch statistics,
/// or if the views are not on an autodiff device. Also as [`BaseMethod::forward`].
pub fn accumulated_gradients<M: BaseMethod>(
    method: &mut M,
    views: Vec<Tensor<4>>,
    micro_batch: usize,
    position: RunPosition,
    loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
) -> Step {
    let n = image_count(&views);
    assert!(
        micro_batch >= 2 && !leaves_single_image(n, micro_batch),
        "accumulated_gradients: every piece needs at least 2 images, but a batch of {n} in pieces \
         of {micro_batch} leaves one"
    );
    assert!(
        views.iter().all(|view| view.device().is_autodiff()),
        "accumulated_gradients: the views must be on an autodiff device"
    );
    let pieces = pieces_of(n, micro_batch);
    if pieces.len() == 1 {
        return method.step(views, position, loss);
    }

    method.before_step();
    // A copy with its own running statistics: the method's are updated in the second pass only.
    let copy = method.valid().train().no_grad();
    let embeddings = embed_pieces(&copy, &views, &pieces);
    let whole = WholeLoss::of(method, embeddings, position, loss);
    let mut accumulator = GradientsAccumulator::new();
    accumulator.accumulate(method, whole.gradients);
    backward_pieces(method, &views, &pieces, &whole.directions, &mut accumulator);

    let mut gradients = accumulator.grads();
    method.after_gradients(&mut gradients, position);
    Step::new(whole.output, whole.loss, gradients)
}
