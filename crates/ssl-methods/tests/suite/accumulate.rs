//! The two-pass gradients of a large batch.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use ssl_methods::criterion::{Criterion, CriterionConfig, MmcrConfig};
use ssl_methods::{BaseMethod, MethodOutput, RunPosition, accumulated_gradients};

use crate::golden::{distance, named_values, scalar};
use crate::small::{each_method, random_views, twin};

pub fn device() -> Device {
    Device::default().autodiff()
}

pub fn total(output: &MethodOutput, criterion: &Criterion) -> Tensor<1> {
    let add_on = criterion.forward(&output.embeddings, &output.small_crops);
    output.loss.clone() + add_on.unwrap().loss
}

/// All gradients, and all values with running statistics.
pub type Found = [Vec<(String, Vec<f64>)>; 2];

pub fn found(method: &impl Module, gradients: &GradientsParams) -> Found {
    [
        named_values(method, Some(gradients)),
        named_values(&method.valid(), None),
    ]
}

pub fn assert_equal(name: &str, found: &Found, expected: &Found) {
    for (found, expected) in found.iter().zip(expected) {
        assert_equal_tensors(name, found, expected);
    }
}

pub fn assert_equal_tensors(
    name: &str,
    found: &[(String, Vec<f64>)],
    expected: &[(String, Vec<f64>)],
) {
    assert_eq!(found.len(), expected.len(), "{name}");
    assert!(found.len() > 20, "{name}: only {} tensors", found.len());
    for ((path, found), (_, expected)) in found.iter().zip(expected) {
        let error = distance(found, expected);
        let size = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
        // The same sums in another order. The gradient of biases before a normalization is only
        // rounding.
        assert!(
            error < 1e-4 || error * size < 1e-6,
            "{name}: {path} is off by {error:e} of {size:e}"
        );
    }
}

/// The same with all graphs in memory: every piece embedded with graph, then one loss.
fn in_one_graph<M: BaseMethod>(
    method: &mut M,
    views: &[Tensor<4>],
    micro_batch: usize,
    criterion: &Criterion,
) -> (f64, GradientsParams) {
    method.before_step();
    let pieces: Vec<Vec<Tensor<2>>> = (0..views[0].dims()[0])
        .step_by(micro_batch)
        .map(|start| {
            let piece = |view: &Tensor<4>| {
                let end = (start + micro_batch).min(view.dims()[0]);
                view.clone().slice_dim(0, start..end)
            };
            method.embed(views.iter().map(piece).collect())
        })
        .collect();
    let embeddings = (0..views.len())
        .map(|view| {
            let pieces = pieces.iter().map(|piece| piece[view].clone()).collect();
            Tensor::cat(pieces, 0)
        })
        .collect();
    let output = method.loss(embeddings, RunPosition::default());
    let loss = total(&output, criterion);
    let mut gradients = GradientsParams::from_grads(loss.clone().backward(), method);
    method.after_gradients(&mut gradients, RunPosition::default());
    (scalar(loss), gradients)
}

#[test]
fn pieces_give_the_gradients_of_the_whole_batch() {
    let criteria = [
        CriterionConfig::E2mc(e2mc_loss::E2mcLossConfig::swav()),
        CriterionConfig::Mmcr(MmcrConfig::new()),
    ];
    for criterion in criteria {
        let criterion = criterion.init();
        // The last piece is smaller; one piece is an ordinary step.
        for micro_batch in [5, 12] {
            each_method!(|method, sizes, device| {
                let name = format!("{} {micro_batch}", method.name());
                let views = random_views(12, sizes, &device);
                let mut reference = twin(&method, method.clone().fork(&device));
                let mut method = method;
                // Like a clone, a fork shares the running statistics until it is loaded again.
                reference = reference.valid().train();

                let (expected_loss, gradients) =
                    in_one_graph(&mut reference, &views, micro_batch, &criterion);
                let expected = self::found(&reference, &gradients);
                let step = accumulated_gradients(
                    &mut method,
                    views,
                    micro_batch,
                    RunPosition::default(),
                    |output| total(output, &criterion),
                );
                let error = (scalar(step.loss) / expected_loss - 1.0).abs();
                assert!(error < 1e-5, "{name}: loss off by {error:e}");
                assert_equal(&name, &self::found(&method, &step.gradients), &expected);
            });
        }
    }
}

#[test]
fn outputs_are_those_of_the_whole_batch_and_hold_no_graph() {
    let method = crate::small::swav().init(&device());
    let mut method = method;
    let views = random_views(8, &[16, 16, 8], &device());
    let step = accumulated_gradients(&mut method, views, 4, RunPosition::default(), |output| {
        output.loss.clone()
    });
    assert_eq!(step.output.embeddings.len(), 2);
    assert_eq!(step.output.embeddings[0].dims(), [8, 8]);
    assert_eq!(step.output.small_crops.len(), 1);
    assert!(!step.output.loss.is_autodiff() && !step.output.embeddings[0].is_autodiff());
}

#[test]
fn a_piece_of_one_image_is_rejected() {
    for (n, micro_batch) in [(9, 4), (8, 1), (8, 0)] {
        let message = crate::bad_input::panic_of(|| {
            let mut method = crate::small::vicreg().init(&device());
            let views = random_views(n, &[16, 16], &device());
            accumulated_gradients(
                &mut method,
                views,
                micro_batch,
                RunPosition::default(),
                |o| o.loss.clone(),
            );
        });
        assert!(message.contains("at least 2 images"), "{message}");
    }
}
