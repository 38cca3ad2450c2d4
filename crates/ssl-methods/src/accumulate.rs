//! Gradients of a large batch on a small device.

use std::ops::Range;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use crate::{BaseMethod, MethodOutput, Progress};

/// What [`accumulated_gradients`] returns.
#[derive(Debug)]
pub struct Accumulated {
    /// The base loss, its terms and the embeddings of the whole batch, without graph.
    pub output: MethodOutput,
    /// What was differentiated, `[1]`, without graph.
    pub loss: Tensor<1>,
    /// The gradients of all parameters, for [`after_gradients`](BaseMethod::after_gradients) and the optimiser.
    pub gradients: GradientsParams,
}

/// Computes the gradients of the loss of a whole batch, while backbone and projector see it in pieces of at most
/// `micro_batch` images: only one piece's activations are in memory at a time.
///
/// Summing the gradients of pieces would minimise another loss: covariance, entropy, codes and cross-correlation depend
/// on all samples together, and E2MC's estimate needs many. So the batch is passed twice:
/// 1. the embeddings Z of all pieces, without graph;
/// 2. the loss of all Z, what it adds to the parameters beyond the projector (predictor, prototypes), and dLoss/dZ;
/// 3. each piece again, with graph, and its share of dLoss/dZ as the gradient.
///
/// The gradients are those of the whole batch at once, up to rounding; a step takes one forward pass more, unless
/// `micro_batch` holds the whole batch: then it is an ordinary step. One thing
/// stays different: **batch normalisation in backbone and projector takes its statistics from each piece**, and its running
/// statistics move once per piece. Predictor and Barlow Twins' last normalisation, which are parts of the loss, see the whole batch.
///
/// `loss` gets the output on all Z and returns what is to be minimised: `output.loss`, with a criterion if wanted. Views lie on
/// an autodiff device.
///
/// ```no_run
/// # use burn::prelude::*;
/// # use ssl_methods::{BaseMethod, Progress, accumulated_gradients, criterion::Criterion, optim::SgdConfig};
/// # fn step<M: BaseMethod>(mut method: M, views: Vec<Tensor<4>>, criterion: &Criterion, progress: Progress) -> M {
/// # let mut optimiser = SgdConfig::new().init().unwrap();
/// method.before_step();
/// let mut step = accumulated_gradients(&mut method, views, 32, progress, |output| {
///     match criterion.forward(&output.embeddings, &output.small_crops) {
///         Some(add_on) => output.loss.clone() + add_on.loss,
///         None => output.loss.clone(),
///     }
/// });
/// method.after_gradients(&mut step.gradients, progress);
/// method = optimiser.step(0.01, method, step.gradients);
/// # method
/// # }
/// ```
///
/// # Panics
/// If `micro_batch` < 2, or the last piece would hold a single image, whose batch statistics do not exist; if the views
/// are not on an autodiff device; and as [`BaseMethod::forward`].
pub fn accumulated_gradients<M: BaseMethod>(
    method: &mut M,
    views: Vec<Tensor<4>>,
    micro_batch: usize,
    progress: Progress,
    loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
) -> Accumulated {
    let n = views.first().map_or(0, |view| view.dims()[0]);
    assert!(
        micro_batch >= 2 && n % micro_batch != 1,
        "accumulated_gradients: every piece needs at least 2 images, but a batch of {n} in pieces of {micro_batch} leaves one"
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
        let output = method.forward(views, progress);
        let loss = loss(&output);
        let gradients = GradientsParams::from_grads(loss.backward(), method);
        return Accumulated::new(output, loss, gradients);
    }

    // A copy with running statistics of its own, since those of the method are to move once, in the second pass.
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

    Accumulated::new(output, loss, accumulator.grads())
}

impl Accumulated {
    fn new(output: MethodOutput, loss: Tensor<1>, gradients: GradientsParams) -> Self {
        let detached = |tensors: Vec<Tensor<2>>| {
            let tensors = tensors.into_iter().map(Tensor::without_autodiff);
            tensors.collect::<Vec<_>>()
        };
        Self {
            loss: loss.without_autodiff(),
            output: MethodOutput {
                loss: output.loss.without_autodiff(),
                terms: output.terms,
                embeddings: detached(output.embeddings),
                small_crops: detached(output.small_crops),
            },
            gradients,
        }
    }
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
