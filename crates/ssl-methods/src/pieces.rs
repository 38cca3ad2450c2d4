//! The two passes of a batch that goes through a network in pieces.

use std::ops::Range;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use crate::BaseMethod;

/// Ranges of at most `size` images that cover `0..n`, in order.
pub(crate) fn pieces_of(n: usize, size: usize) -> Vec<Range<usize>> {
    (0..n)
        .step_by(size)
        .map(|start| start..(start + size).min(n))
        .collect()
}

/// The images of a range, of every view.
pub(crate) fn piece_of(views: &[Tensor<4>], range: &Range<usize>) -> Vec<Tensor<4>> {
    views
        .iter()
        .map(|view| view.clone().slice_dim(0, range.clone()))
        .collect()
}

/// The views of a batch, cut into equal shares for so many devices, in order.
///
/// # Shapes
///
/// - views: each `[n, channels, h, w]`; of each share `[n / devices, channels, h, w]`
///
/// # Panics
///
/// If there is no device, or if n is not a multiple of their number.
pub fn split_views(views: &[Tensor<4>], devices: usize) -> Vec<Vec<Tensor<4>>> {
    let n = image_count(views);
    assert!(
        devices > 0 && n.is_multiple_of(devices),
        "split_views: {n} images cannot be shared equally by {devices} devices"
    );
    let share = n / devices;
    (0..devices)
        .map(|i| piece_of(views, &(i * share..(i + 1) * share)))
        .collect()
}

/// The images of a batch; 0 without views.
pub(crate) fn image_count(views: &[Tensor<4>]) -> usize {
    views.first().map_or(0, |view| view.dims()[0])
}

/// First pass: the embeddings of all pieces, one `[n, d]` for each view, without a graph. Updates
/// the running statistics of `method`, whose parameters must not require gradients.
pub(crate) fn embed_pieces<M: BaseMethod>(
    method: &M,
    views: &[Tensor<4>],
    pieces: &[Range<usize>],
) -> Vec<Tensor<2>> {
    let mut by_view: Vec<Vec<Tensor<2>>> = Vec::new();
    for range in pieces {
        let embeddings = method.embed(piece_of(views, range));
        by_view.resize_with(embeddings.len(), Vec::new);
        for (view, z) in by_view.iter_mut().zip(embeddings) {
            view.push(z.without_autodiff());
        }
    }
    let whole = by_view.into_iter().map(|pieces| Tensor::cat(pieces, 0));
    whole.collect()
}

/// Second pass: embeds each piece again, with a graph, and adds the gradients that its part of
/// dLoss/dZ gives to `accumulator`.
pub(crate) fn backward_pieces<M: BaseMethod>(
    method: &M,
    views: &[Tensor<4>],
    pieces: &[Range<usize>],
    directions: &[Option<Tensor<2>>],
    accumulator: &mut GradientsAccumulator<M>,
) {
    for range in pieces {
        let directions: Vec<_> = directions
            .iter()
            .map(|direction| Some(direction.clone()?.slice_dim(0, range.clone())))
            .collect();
        let embeddings = method.embed(piece_of(views, range));
        if let Some(gradients) = backward_from(method, embeddings, &directions) {
            accumulator.accumulate(method, gradients);
        }
    }
}

/// The gradients of the parameters, given dLoss/dZ of embeddings with a graph; none if the loss
/// depends on no view.
pub(crate) fn backward_from<M: BaseMethod>(
    method: &M,
    embeddings: Vec<Tensor<2>>,
    directions: &[Option<Tensor<2>>],
) -> Option<GradientsParams> {
    // Its gradient with respect to Z is the direction.
    let surrogate = embeddings
        .into_iter()
        .zip(directions)
        .filter_map(|(z, direction)| Some((z * direction.clone()?).sum()))
        .reduce(|sum, part| sum + part)?;
    Some(GradientsParams::from_grads(surrogate.backward(), method))
}
