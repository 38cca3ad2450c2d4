//! Ten optimizer steps of each method, with and without each criterion, against PyTorch: every term
//! of every step, the gradients of the first step, and weights and running statistics after the
//! last.

use std::collections::BTreeMap;

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use e2mc_loss::{CompactSpace, E2mcLossConfig};
use e2mc_resnet::{Checkpoint, ResNetConfig, Stem};
use serde_json::Value;
use ssl_methods::barlow_twins::{BarlowTwins, BarlowTwinsConfig};
use ssl_methods::criterion::{
    Criterion, CriterionConfig, MmcrConfig, UniformityConfig, VcRegConfig,
};
use ssl_methods::optim::{LarcConfig, LarsConfig, LrSchedule, SgdConfig, continue_momentum};
use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
use ssl_methods::swav::{Swav, SwavConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};
use ssl_methods::{BaseMethod, RunPosition};

use crate::golden::{METHODS, Tensors, distance, json, named_values, path, scalar};

/// Tolerances are this many times the largest distance between PyTorch's own f32 and f64 in 32
/// runs. Another order of summation gives another rounding error of the same size. A mistake in the
/// method is far larger than ten of them.
pub const MARGIN: f64 = 10.0;

/// One run of trajectory.json, or a report of full_size.py.
pub struct Run<'a> {
    pub name: &'a str,
    pub golden: &'a Value,
    /// Largest relative distance of a term of the first step.
    pub first_step: f64,
    /// The smallest value used for PyTorch's own distance of a term.
    pub least_spread: f64,
}

impl Run<'_> {
    pub fn number(&self, key: &str) -> f64 {
        self.golden[key].as_f64().unwrap()
    }

    fn option(&self, key: &str) -> f64 {
        self.golden["options"][key].as_f64().unwrap()
    }

    pub fn list(&self, key: &str) -> Vec<&str> {
        let list = self.golden[key].as_array().unwrap();
        list.iter().map(|name| name.as_str().unwrap()).collect()
    }

    pub fn optimizer(&self) -> ModuleOptimizer {
        let sgd = SgdConfig::new()
            .with_momentum(0.9)
            .with_weight_decay(self.number("weight_decay"));
        match self.golden["optimiser"].as_str().unwrap() {
            "lars" => LarsConfig::new(sgd).with_trust(self.number("eta")).init(),
            "larc" => LarcConfig::new(sgd).init(),
            "sgd" => sgd.init(),
            other => panic!("{other}"),
        }
    }

    pub fn schedule(&self, method: &impl BaseMethod) -> ModuleLrScheduler {
        let constant = |rate| LrSchedule::constant(rate).unwrap();
        let schedule = ModuleLrScheduler::new(constant(self.number("lr")));
        match self.golden["predictor_lr"].as_f64() {
            None => schedule,
            Some(rate) => {
                let groups = method.param_groups();
                let predictor = groups.into_iter().find(|group| group.name == "predictor");
                schedule.with_group(predictor.unwrap().parameters, constant(rate))
            }
        }
    }

    pub fn criterion(&self) -> Criterion {
        let config = match self.golden["criterion"].as_str() {
            None => CriterionConfig::None,
            Some("e2mc") => {
                let space = match self.golden["options"]["space"].as_str().unwrap() {
                    "hypercube" => CompactSpace::Hypercube,
                    "hypersphere" => CompactSpace::Hypersphere,
                    other => panic!("{other}"),
                };
                CriterionConfig::E2mc(
                    E2mcLossConfig::new(space)
                        .with_entropy_weight(self.option("entropy_weight"))
                        .with_covariance_weight(self.option("covariance_weight"))
                        .with_epsilon(self.option("epsilon")),
                )
            }
            Some("vcreg") => CriterionConfig::VcReg(
                VcRegConfig::new()
                    .with_variance_weight(self.option("variance_weight"))
                    .with_covariance_weight(self.option("covariance_weight")),
            ),
            Some("auh") => CriterionConfig::Uniformity(
                UniformityConfig::new()
                    .with_weight(self.option("weight"))
                    .with_sharpness(self.option("t")),
            ),
            Some("mmcr") => {
                CriterionConfig::Mmcr(MmcrConfig::new().with_weight(self.option("weight")))
            }
            Some(other) => panic!("{other}"),
        };
        config.init()
    }

    /// PyTorch's own distance for one term: the largest over the steps.
    fn spread(&self, group: &str, term: &str) -> f64 {
        let steps = self.golden["step_distances"].as_array().unwrap();
        let of = |step: &Value| match term {
            "" => step[group].as_f64().unwrap(),
            term => step[group][term].as_f64().unwrap(),
        };
        steps.iter().map(of).fold(0.0, f64::max)
    }

    pub fn check_term(&self, step: usize, group: &str, term: &str, found: f64) {
        let golden = &self.golden["steps"][step][group];
        let expected = match term {
            "" => golden.as_f64(),
            term => golden[term].as_f64(),
        };
        let expected = expected.unwrap_or_else(|| panic!("{}: no {group} {term}", self.name));
        let pytorch = self.spread(group, term);
        let error = (found / expected - 1.0).abs();
        let name = self.name;
        let limit = if step == 0 {
            self.first_step
        } else {
            f64::INFINITY
        };
        assert!(
            error < limit.min(MARGIN * pytorch.max(self.least_spread)),
            "{name} step {step}: {group} {term} is {found}, expected {expected}: off by \
             {error:e}, PyTorch's f32 by {pytorch:e}"
        );
    }

    fn check_terms(&self, step: usize, group: &str, terms: Vec<(&str, Tensor<1>)>) {
        let mut expected: Vec<_> = self.golden["steps"][step][group]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        for (term, value) in terms {
            let term = term.trim_start_matches("vcreg_");
            self.check_term(step, group, term, scalar(value));
            expected.retain(|name| name != term);
        }
        assert!(
            expected.is_empty(),
            "{}: {expected:?} not logged",
            self.name
        );
    }

    /// `momentum` is the optimizer's initial momentum, if the run has one.
    fn check(
        &self,
        method: impl BaseMethod,
        momentum: Vec<(String, TensorData)>,
        tensors: &Tensors,
    ) {
        let mut optimizer = self.optimizer();
        if self.golden["momentum_from_file"] == true {
            assert!(momentum.len() > 20, "{} tensors", momentum.len());
            let (with_momentum, unknown) = continue_momentum(optimizer, &method, momentum).unwrap();
            assert_eq!(unknown, Vec::<String>::new());
            optimizer = with_momentum;
        }
        let device = Device::default().autodiff();
        let images = self.list("images");
        let start: BTreeMap<_, _> = named_values(&method.valid(), None).into_iter().collect();
        let method = self.train(
            method,
            optimizer,
            |step| tensors.views(&images, step, &device),
            |gradients| self.check_gradients(gradients, tensors),
        );
        self.check_final(named_values(&method.valid(), None), &start, tensors);
    }

    /// Runs all steps and checks each term of each step. `first_gradients` receives the gradients
    /// of the first step.
    pub fn train<M: BaseMethod>(
        &self,
        method: M,
        mut optimizer: ModuleOptimizer,
        views: impl Fn(usize) -> Vec<Tensor<4>>,
        mut first_gradients: impl FnMut(Vec<(String, Vec<f64>)>),
    ) -> M {
        let mut method = method;
        let criterion = self.criterion();
        let mut schedule = self.schedule(&method);
        for step in 0..self.golden["steps"].as_array().unwrap().len() {
            let position = RunPosition {
                epoch: 0,
                iteration: step,
            };
            method.before_step();
            let output = method.forward(views(step), position);
            self.check_term(step, "base", "", scalar(output.loss.clone()));
            // A single term is the loss, and not repeated.
            if !output.terms.is_empty() {
                self.check_terms(step, "base_terms", output.terms);
            }
            let loss = match criterion.forward(&output.embeddings, &output.small_crops) {
                None => output.loss,
                Some(add_on) => {
                    self.check_term(step, "criterion", "", scalar(add_on.loss.clone()));
                    self.check_terms(step, "criterion_terms", add_on.terms);
                    output.loss + add_on.loss
                }
            };
            self.check_term(step, "loss", "", scalar(loss.clone()));

            let mut gradients = GradientsParams::from_grads(loss.backward(), &method);
            method.after_gradients(&mut gradients, position);
            if step == 0 {
                first_gradients(named_values(&method, Some(&gradients)));
            }
            method = optimizer.step(schedule.step(), method, gradients);
        }
        method
    }

    pub fn check_gradients(&self, found: Vec<(String, Vec<f64>)>, tensors: &Tensors) {
        let prefix = format!("{}.gradient.", self.golden["gradients"].as_str().unwrap());
        assert_eq!(found.len(), tensors.names(&prefix).len(), "{}", self.name);
        let pytorch = self.number("gradient_distance");
        let inert = self.list("inert");
        let largest = found
            .iter()
            .flat_map(|(_, g)| g)
            .fold(0f64, |a, g| a.max(g.abs()));
        for (name, found) in found {
            if inert.contains(&name.as_str()) {
                // Zero except for rounding, since a batch normalization follows.
                let size = found.iter().fold(0f64, |a, g| a.max(g.abs()));
                assert!(size < 1e-5 * largest, "{}: {name}: {size:e}", self.name);
                continue;
            }
            let error = distance(&found, &tensors.get(&format!("{prefix}{name}")).1);
            assert!(
                error < MARGIN * pytorch,
                "{}: gradient of {name} is off by {error:e}, PyTorch's f32 by {pytorch:e}",
                self.name
            );
        }
    }

    fn check_final(
        &self,
        found: Vec<(String, Vec<f64>)>,
        start: &BTreeMap<String, Vec<f64>>,
        tensors: &Tensors,
    ) {
        let prefix = format!("{}.final.", self.name);
        assert_eq!(found.len(), tensors.names(&prefix).len(), "{}", self.name);
        let pytorch = self.number("final_distance");
        let inert = self.list("inert_at_the_end");
        let untrained = self.list("untrained");
        for (name, found) in found {
            if untrained.contains(&name.as_str()) {
                assert_eq!(found, start[&name], "{}: {name} is not trained", self.name);
            }
            let error = distance(&found, &tensors.get(&format!("{prefix}{name}")).1);
            assert!(
                error < MARGIN * pytorch || inert.contains(&name.as_str()),
                "{}: {name} is off by {error:e}, PyTorch's f32 by {pytorch:e}",
                self.name
            );
        }
    }
}

/// Loads the method that `$golden` names, with its configuration, from `$checkpoint`, and calls
/// `$body` with it. `$backbone` completes the configuration of the backbone.
macro_rules! load_method {
    ($golden:expr, $checkpoint:expr, $backbone:expr, $device:expr, |$method:ident| $body:expr) => {
        match $golden["method"].as_str().unwrap() {
            "vicreg" => load_method!(VicReg VicRegConfig, $checkpoint, $backbone, $device, |$method| $body),
            "simsiam" => load_method!(SimSiam SimSiamConfig, $checkpoint, $backbone, $device, |$method| $body),
            "barlow_twins" => {
                load_method!(BarlowTwins BarlowTwinsConfig, $checkpoint, $backbone, $device, |$method| $body)
            }
            "swav" => load_method!(Swav SwavConfig, $checkpoint, $backbone, $device, |$method| $body),
            other => panic!("{other}"),
        }
    };
    ($type:ident $config:ident, $checkpoint:expr, $backbone:expr, $device:expr, |$method:ident| $body:expr) => {{
        let mut config = $config::from_checkpoint(&$checkpoint).unwrap();
        config.backbone = $backbone(config.backbone);
        let $method = $type::from_checkpoint(&$checkpoint, &config, &$device).unwrap();
        $body
    }};
}
pub(crate) use load_method;

pub fn small_stem(mut backbone: ResNetConfig) -> ResNetConfig {
    backbone.stem = Stem::Small {
        kernel: 3,
        stride: 2,
    };
    backbone
}

/// The run of a name in trajectory.json, and the file that it starts from.
pub fn run_of<'a>(name: &'a str, golden: &'a Value) -> (Run<'a>, Checkpoint) {
    let run = Run {
        name,
        golden,
        first_step: 1e-4,
        least_spread: f64::from(f32::EPSILON), // one rounding of a scalar
    };
    let start = path(METHODS, golden["init"].as_str().unwrap());
    (run, Checkpoint::open(start).unwrap())
}

#[test]
fn ten_steps_of_every_method_and_criterion_equal_pytorch() {
    let golden = json(METHODS, "trajectory.json");
    let tensors = Tensors::open(METHODS);
    let device = Device::default().autodiff();
    let mut runs = 0;
    for (name, golden) in golden.as_object().unwrap() {
        let (run, checkpoint) = run_of(name, golden);
        let momentum = checkpoint.optimizer_momentum().unwrap();
        load_method!(golden, checkpoint, small_stem, device, |method| run
            .check(method, momentum, &tensors));
        runs += 1;
    }
    assert_eq!(runs, 11);
}
