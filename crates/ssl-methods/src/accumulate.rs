//! Gradients of a large batch on a small device.

use std::ops::Range;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use crate::{BaseMethod, MethodOutput, Progress, Step};

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
/// # use ssl_methods::{BaseMethod, Progress, accumulated_gradients};
/// # use ssl_methods::{criterion::Criterion, optim::SgdConfig};
/// # fn step<M: BaseMethod>(
/// #     mut method: M,
/// #     views: Vec<Tensor<4>>,
/// #     criterion: &Criterion,
/// #     progress: Progress,
/// # ) -> M {
/// # let mut optimizer = SgdConfig::new().init();
/// let step = accumulated_gradients(&mut method, views, 32, progress, |output| {
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
    progress: Progress,
    loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
) -> Step {
    let n = views.first().map_or(0, |view| view.dims()[0]);
    assert!(
        micro_batch >= 2 && n % micro_batch != 1,
        "accumulated_gradients: every piece needs at least 2 images, but a batch of {n} in pieces \
         of {micro_batch} leaves one"
    );
    assert!(
        views.iter().all(|view| view.device().is_autodiff()),
        "accumulated_gradients: the views must be on an autodiff device"
    );
    let pieces: Vec<_> = (0..n)
        .step_by(micro_batch)
        .map(|start| start..(start + micro_batch).min(n))
        .collect();
    let piece = |range: &Range<usize>| -> Vec<Tensor<4>> {
        views
            .iter()
            .map(|view| view.clone().slice_dim(0, range.clone()))
            .collect()
    };

    if pieces.len() == 1 {
        return method.step(views, progress, loss);
    }

    method.before_step();
    // A copy with its own running statistics: the method's are updated in the second pass only.
    let copy = method.valid().train().no_grad();
    let embeddings = pieces
        .iter()
        .map(|range| copy.embed(piece(range)))
        .map(|piece| {
            piece
                .into_iter()
                .map(Tensor::without_autodiff)
                .collect::<Vec<_>>()
        });
    let embeddings: Vec<Tensor<2>> = by_view(embeddings)
        .into_iter()
        .map(|pieces| Tensor::cat(pieces, 0).autodiff().require_grad())
        .collect();

    let output = method.loss(embeddings.clone(), progress);
    let loss = loss(&output);
    let mut gradients = loss.backward();
    let directions: Vec<Option<Tensor<2>>> = embeddings
        .iter()
        .map(|z| z.grad_remove(&mut gradients))
        .collect();
    let mut accumulator = GradientsAccumulator::new();
    accumulator.accumulate(method, GradientsParams::from_grads(gradients, method));

    for range in &pieces {
        // Its gradient with respect to Z is the direction.
        let surrogate = method
            .embed(piece(range))
            .into_iter()
            .zip(&directions)
            .filter_map(|(z, direction)| {
                let direction = direction.clone()?.slice_dim(0, range.clone());
                Some((z * direction).sum())
            })
            .reduce(|sum, part| sum + part);
        if let Some(surrogate) = surrogate {
            let gradients = GradientsParams::from_grads(surrogate.backward(), method);
            accumulator.accumulate(method, gradients);
        }
    }

    let mut gradients = accumulator.grads();
    method.after_gradients(&mut gradients, progress);
    Step::new(output, loss, gradients)
}

/// From the views of each piece to the pieces of each view.
fn by_view(pieces: impl Iterator<Item = Vec<Tensor<2>>>) -> Vec<Vec<Tensor<2>>> {
    let mut views: Vec<Vec<Tensor<2>>> = Vec::new();
    for piece in pieces {
        views.resize_with(piece.len(), Vec::new);
        for (view, embeddings) in views.iter_mut().zip(piece) {
            view.push(embeddings);
        }
    }
    views
}
