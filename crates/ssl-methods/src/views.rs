//! Views of one batch: checks, and the pass through the backbone by resolution.

use std::ops::RangeBounds;

use burn::tensor::Tensor;
use e2mc_resnet::Backbone;

use crate::BaseMethod;

/// Panics unless all views have the same number of images, at least 2, and the same channels.
/// Returns that number.
pub(crate) fn check_views(method: &str, views: &[Tensor<4>]) -> usize {
    let [n, channels, ..] = views[0].dims();
    assert!(
        n >= 2,
        "{method}: a batch needs at least 2 images, got views of shape {:?}",
        views[0].dims()
    );
    for (i, view) in views.iter().enumerate() {
        let [view_n, view_channels, ..] = view.dims();
        assert!(
            view_n == n && view_channels == channels,
            "{method}: all views need the batch size and channels of the first, {:?}, but view \
             {i} is {:?}",
            views[0].dims(),
            view.dims()
        );
    }
    n
}

/// Panics unless the views have as many channels as the backbone takes.
pub(crate) fn check_channels(method: &str, views: &[Tensor<4>], backbone: &impl Backbone) {
    let in_channels = backbone.in_channels();
    let [_, channels, ..] = views[0].dims();
    assert!(
        channels == in_channels,
        "{method}: the backbone takes {in_channels}-channel images, but the views have shape {:?}",
        views[0].dims()
    );
}

/// Returns the two views. Panics unless there are two, and they match each other and the backbone.
fn two_views<M: BaseMethod>(method: &M, views: Vec<Tensor<4>>) -> [Tensor<4>; 2] {
    let name = method.name();
    assert!(
        views.len() == 2,
        "{name}: expected 2 views, got {}",
        views.len()
    );
    check_views(name, &views);
    check_channels(name, &views, method.backbone());
    views.try_into().expect("two views")
}

/// Embeds each of two views separately, with its own batch statistics.
///
/// # Panics
///
/// Unless there are two views that match each other and the backbone.
pub(crate) fn embed_two_views<M: BaseMethod>(method: &M, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
    let views = two_views(method, views);
    views.map(|view| method.project(view)).into()
}

/// Panics unless the number of embeddings lies in `count` and all are `[n >= 2, d]` with one n.
/// Returns n.
pub(crate) fn check_embeddings(
    method: &str,
    embeddings: &[Tensor<2>],
    count: impl RangeBounds<usize> + std::fmt::Debug,
    d: usize,
) -> usize {
    assert!(
        count.contains(&embeddings.len()),
        "{method}: expected embeddings of {count:?} views, got {}",
        embeddings.len()
    );
    let n = embeddings.first().map_or(0, |z| z.dims()[0]);
    assert!(
        n >= 2 && embeddings.iter().all(|z| z.dims() == [n, d]),
        "{method}: expected embeddings [n >= 2, {d}] for each view, got {:?}",
        embeddings.iter().map(|z| z.dims()).collect::<Vec<_>>()
    );
    n
}

/// Passes all views through the backbone, views of one resolution together. This decides the batch
/// statistics (SwAV's multi-crop).
///
/// # Shapes
///
/// - views: each `[n, channels, h, w]`, views of one resolution adjacent in the list
/// - output `[views * n, features]`, in the order of the views
///
/// # Panics
///
/// If views of one resolution are not adjacent in the list.
pub(crate) fn features_by_resolution(backbone: &impl Backbone, views: Vec<Tensor<4>>) -> Tensor<2> {
    let resolution = |view: &Tensor<4>| {
        let [_, _, h, w] = view.dims();
        [h, w]
    };
    let mut groups: Vec<([usize; 2], Vec<Tensor<4>>)> = Vec::new();
    for view in views {
        let here = resolution(&view);
        match groups.last_mut() {
            Some((last, group)) if *last == here => group.push(view),
            _ => {
                assert!(
                    groups.iter().all(|(seen, _)| *seen != here),
                    "views of one resolution must be adjacent, but {here:?} comes again after {:?}",
                    groups.last().map(|(last, _)| *last).unwrap_or_default()
                );
                groups.push((here, vec![view]));
            }
        }
    }
    let features = groups
        .into_iter()
        .map(|(_, group)| backbone.forward(concatenate(group)))
        .collect();
    concatenate(features)
}

/// Concatenates along the first axis; a single tensor is passed on without a copy.
fn concatenate<const D: usize>(mut tensors: Vec<Tensor<D>>) -> Tensor<D> {
    match tensors.len() {
        1 => tensors.remove(0),
        _ => Tensor::cat(tensors, 0),
    }
}
