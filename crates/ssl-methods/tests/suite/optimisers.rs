use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use serde_json::Value;
use ssl_methods::optim::{LarcConfig, SgdConfig};

use crate::golden::{distance, json, numbers, tensor, values};

#[derive(Module, Debug)]
struct Parameters {
    matrix: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
    starts_at_zero: Param<Tensor<1>>,
    never_has_gradient: Param<Tensor<1>>,
}

impl Parameters {
    fn new(start: &Value, device: &Device) -> Self {
        let vector = |i| Param::from_tensor(tensor::<1>(&start[i], device));
        Self {
            matrix: Param::from_tensor(tensor(&start[0], device)),
            vector: vector(1),
            starts_at_zero: vector(2),
            never_has_gradient: vector(3),
        }
    }

    fn gradients(&self, gradients: &Value) -> GradientsParams {
        let device = Device::default();
        let mut all = GradientsParams::new();
        all.register(self.matrix.id, tensor::<2>(&gradients[0], &device));
        all.register(self.vector.id, tensor::<1>(&gradients[1], &device));
        all.register(self.starts_at_zero.id, tensor::<1>(&gradients[2], &device));
        all.register(
            self.never_has_gradient.id,
            tensor::<1>(&gradients[3], &device),
        );
        all
    }

    fn values(&self) -> [Vec<f64>; 4] {
        let vector = |p: &Param<Tensor<1>>| values(p.val());
        [
            values(self.matrix.val()),
            vector(&self.vector),
            vector(&self.starts_at_zero),
            vector(&self.never_has_gradient),
        ]
    }
}

fn optimiser(case: &Value) -> ModuleOptimizer {
    let sgd = SgdConfig::new()
        .with_momentum(case["momentum"].as_f64().unwrap())
        .with_weight_decay(case["weight_decay"].as_f64().unwrap());
    match case["optimiser"].as_str().unwrap() {
        "sgd" => sgd.init().unwrap(),
        "larc" => LarcConfig::new(sgd).init().unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn six_steps_equal_pytorch_also_when_saved_and_restored_after_three() {
    let golden = json("optimisers.json");
    let device = Device::default().autodiff();
    for case in golden["cases"].as_array().unwrap() {
        let lr = case["lr"].as_f64().unwrap();
        let run = |restore_after: Option<usize>| {
            let mut parameters = Parameters::new(&golden["start"], &device);
            let mut optimiser = optimiser(case);
            for (step, gradients) in golden["gradients"].as_array().unwrap().iter().enumerate() {
                if restore_after == Some(step) {
                    let bytes = optimiser.into_bytes().unwrap();
                    optimiser = self::optimiser(case).from_bytes(bytes).unwrap();
                }
                let gradients = parameters.gradients(gradients);
                parameters = optimiser.step(lr, parameters, gradients);
            }
            parameters.values()
        };
        let straight = run(None);
        for (i, (found, expected)) in straight
            .iter()
            .zip(case["end"].as_array().unwrap())
            .enumerate()
        {
            // Six steps of a few roundings each.
            let error = distance(found, &numbers(expected));
            assert!(error < 1e-6, "{case}: tensor {i} is off by {error:e}");
        }
        assert_eq!(straight, run(Some(3)), "{case}");
    }
}
