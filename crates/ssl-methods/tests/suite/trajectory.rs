//! Ten steps of SwAV on a tiny network, with LARC and frozen prototypes, and with SGD and the
//! queue.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use ssl_methods::optim::{LarcConfig, SgdConfig};
use ssl_methods::swav::Swav;
use ssl_methods::{BaseMethod, MethodState, RunPosition};

use crate::golden::{
    CROPS, SWAV, Tensors, config, distance, json, method, named_values, numbers, scalar, values,
};

/// Tolerances are this many times the largest distance between PyTorch's own f32 and f64 in a few
/// runs. Another order of summation gives another rounding error of the same size. A mistake in the
/// method is far larger than ten of them.
const MARGIN: f64 = 10.0;

struct Run {
    name: &'static str,
    rate: f64,
    steps_per_epoch: usize,
}

const RUNS: [Run; 2] = [
    Run {
        name: "larc",
        rate: 2.0,
        steps_per_epoch: 5,
    },
    Run {
        name: "sgd",
        rate: 0.003,
        steps_per_epoch: 2,
    },
];

impl Run {
    fn optimizer(&self) -> ModuleOptimizer {
        let sgd = SgdConfig::new().with_momentum(0.9);
        match self.name {
            "larc" => LarcConfig::new(sgd.with_weight_decay(1e-6)).init(),
            _ => sgd.with_weight_decay(1e-4).init(),
        }
    }

    fn position(&self, iteration: usize) -> RunPosition {
        RunPosition {
            epoch: iteration / self.steps_per_epoch,
            iteration,
        }
    }

    /// One step; returns the loss.
    fn step(
        &self,
        method: Swav,
        optimizer: &mut ModuleOptimizer,
        views: Vec<Tensor<4>>,
        iteration: usize,
    ) -> (Swav, f64) {
        let mut method = method;
        let position = self.position(iteration);
        method.before_step();
        let output = method.forward(views, position);
        let mut gradients = GradientsParams::from_grads(output.loss.backward(), &method);
        method.after_gradients(&mut gradients, position);
        (
            optimizer.step(self.rate, method, gradients),
            scalar(output.loss),
        )
    }
}

fn device() -> Device {
    Device::default().autodiff()
}

#[test]
fn ten_steps_equal_pytorch() {
    let tensors = Tensors::open(SWAV);
    let golden = json(SWAV, "trajectory.json");
    for run in RUNS {
        let golden = &golden[run.name];
        let inert: Vec<&str> = golden["inert"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        let mut method = method(run.name, &device());
        let mut optimizer = run.optimizer();
        let expected = numbers(&golden["losses"]);
        let pytorch = numbers(&golden["loss_distance"])
            .into_iter()
            .fold(0.0, f64::max);
        for (step, expected) in expected.into_iter().enumerate() {
            let (next, loss) = run.step(
                method,
                &mut optimizer,
                tensors.views(&CROPS, step, &device()),
                step,
            );
            method = next;
            let error = (loss / expected - 1.0).abs();
            assert!(
                error < MARGIN * pytorch,
                "{} step {step}: loss {loss}, expected {expected}: off by {error:e}, PyTorch's \
                 f32 by {pytorch:e}",
                run.name
            );
        }
        let pytorch = golden["final_distance"].as_f64().unwrap();
        let all = named_values(&method.valid(), None);
        assert_eq!(all.len(), tensors.names(&format!("{}.", run.name)).len());
        for (name, found) in all {
            let error = distance(&found, &tensors.get(&format!("{}.{name}", run.name)).1);
            assert!(
                error < MARGIN * pytorch || inert.contains(&name.as_str()),
                "{}: {name} is off by {error:e}, PyTorch's f32 by {pytorch:e}",
                run.name
            );
        }
    }
}

#[test]
fn first_gradients_and_embeddings_equal_pytorch() {
    let tensors = Tensors::open(SWAV);
    let mut method = method("larc", &device());
    method.before_step();
    let output = method.forward(tensors.views(&CROPS, 0, &device()), RunPosition::default());

    let embeddings: Vec<f64> = output.embeddings.into_iter().flat_map(values).collect();
    let error = distance(&embeddings, &tensors.get("embeddings").1);
    assert!(error < 1e-5, "embeddings are off by {error:e}");

    let gradients = GradientsParams::from_grads(output.loss.backward(), &method);
    let all = named_values(&method, Some(&gradients));
    assert_eq!(all.len(), tensors.names("gradient.").len());
    let pytorch = json(SWAV, "trajectory.json")["larc"]["gradient_distance"]
        .as_f64()
        .unwrap();
    for (name, found) in all {
        let (_, expected) = tensors.get(&format!("gradient.{name}"));
        if name == "projection_head.0.bias" {
            // Zero except for rounding, since a batch normalization follows.
            assert!(found.iter().all(|g| g.abs() < 1e-6), "{found:?}");
            continue;
        }
        let error = distance(&found, &expected);
        assert!(
            error < MARGIN * pytorch,
            "{name} is off by {error:e}, PyTorch's f32 by {pytorch:e}"
        );
    }
}

#[test]
fn a_criterion_of_the_embeddings_reaches_backbone_and_projector_only() {
    let mut method = method("larc", &device());
    let output = method.forward(
        Tensors::open(SWAV).views(&CROPS, 0, &device()),
        RunPosition::default(),
    );
    assert_eq!(output.embeddings.len(), 2);
    assert!(output.terms.is_empty());
    let criterion = output.embeddings[0].clone().square().mean();
    let gradients = GradientsParams::from_grads(criterion.backward(), &method);
    let names: Vec<String> = named_values(&method, Some(&gradients))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        names.contains(&"conv1.weight".into())
            && names.contains(&"projection_head.3.weight".into())
    );
    assert!(!names.contains(&"prototypes.weight".into()));
}

#[test]
fn prototypes_are_frozen_for_the_given_steps_and_unit_length_before_each() {
    let tensors = Tensors::open(SWAV);
    let [run, _] = RUNS;
    let mut method = method("larc", &device());
    method.before_step();
    let start = values(method.prototypes.weight.val());
    let mut optimizer = run.optimizer();
    for step in 0..4 {
        let before = values(method.prototypes.weight.val());
        if step > 0 {
            // Renormalizing rounds. Nothing else may have moved them.
            assert!(distance(&before, &start) < 1e-6, "step {step}");
        }
        (method, _) = run.step(
            method,
            &mut optimizer,
            tensors.views(&CROPS, step, &device()),
            step,
        );
    }
    assert!(distance(&values(method.prototypes.weight.val()), &start) > 1e-3);
    method.before_step();
    let lengths = values(method.prototypes.weight.val().square().sum_dim(0).sqrt());
    assert!(lengths.iter().all(|l| (l - 1.0).abs() < 1e-6));
}

#[test]
fn a_run_resumes_to_the_same_numbers() {
    let tensors = Tensors::open(SWAV);
    for run in RUNS {
        // Saved at step 3, the queue is half full; at 6, it is in use.
        for saved_at in [3, 6] {
            let mut losses = Vec::new();
            let mut ends = Vec::new();
            for interrupted in [false, true] {
                let mut method = method(run.name, &device());
                let mut optimizer = run.optimizer();
                for step in 0..9 {
                    if interrupted && step == saved_at {
                        let weights = method.valid().into_record().into_bytes().unwrap();
                        let momentum = optimizer.into_bytes().unwrap();
                        let state = method.state().into_bytes().unwrap();

                        method = config(run.name).init(&device());
                        method = method
                            .load_record(burn::store::ModuleRecord::from_bytes(weights).unwrap());
                        method
                            .load_state(MethodState::from_bytes(state).unwrap())
                            .unwrap();
                        optimizer = run.optimizer().from_bytes(momentum).unwrap();
                    }
                    let views = tensors.views(&CROPS, step, &device());
                    let (next, loss) = run.step(method, &mut optimizer, views, step);
                    method = next;
                    losses.push(loss);
                }
                ends.push(named_values(&method.valid(), None));
            }
            assert_eq!(losses[..9], losses[9..], "{} saved at {saved_at}", run.name);
            assert_eq!(ends[0], ends[1], "{} saved at {saved_at}", run.name);
        }
    }
}
