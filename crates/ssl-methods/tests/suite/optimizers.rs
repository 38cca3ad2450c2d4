use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use serde_json::Value;
use ssl_methods::optim::{LarcConfig, LarsConfig, SgdConfig, continue_momentum};

use crate::golden::{METHODS, SWAV, distance, json, numbers, tensor, values};

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
        "sgd" => sgd.init(),
        "larc" => LarcConfig::new(sgd).init(),
        other => panic!("{other}"),
    }
}

#[test]
fn six_steps_equal_pytorch_also_when_saved_and_restored_after_three() {
    let golden = json(SWAV, "optimisers.json");
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

/// A parameter of each rank that LARS distinguishes, and two without gradient.
#[derive(Module, Debug)]
struct LarsParameters {
    matrices: Vec<Param<Tensor<2>>>,
    convolution: Param<Tensor<4>>,
    vectors: Vec<Param<Tensor<1>>>,
}

/// Places of the matrices and vectors in lars.json; the convolution is at 1.
const MATRICES: [usize; 3] = [0, 4, 5];
const CONVOLUTION: usize = 1;
const VECTORS: [usize; 3] = [2, 3, 6];

impl LarsParameters {
    fn new(start: &Value, device: &Device) -> Self {
        Self {
            matrices: MATRICES
                .map(|i| Param::from_tensor(tensor(&start[i], device)))
                .into(),
            convolution: Param::from_tensor(tensor(&start[CONVOLUTION], device)),
            vectors: VECTORS
                .map(|i| Param::from_tensor(tensor(&start[i], device)))
                .into(),
        }
    }

    fn gradients(&self, gradients: &Value) -> GradientsParams {
        let device = Device::default();
        let mut all = GradientsParams::new();
        for (parameter, i) in self.matrices.iter().zip(MATRICES) {
            all.register(parameter.id, tensor::<2>(&gradients[i], &device));
        }
        all.register(
            self.convolution.id,
            tensor::<4>(&gradients[CONVOLUTION], &device),
        );
        for (parameter, i) in self.vectors.iter().zip(VECTORS) {
            all.register(parameter.id, tensor::<1>(&gradients[i], &device));
        }
        all
    }

    /// Place in lars.json and values.
    fn values(&self) -> Vec<(usize, Vec<f64>)> {
        let matrices = self.matrices.iter().zip(MATRICES);
        let vectors = self.vectors.iter().zip(VECTORS);
        matrices
            .map(|(p, i)| (i, values(p.val())))
            .chain([(CONVOLUTION, values(self.convolution.val()))])
            .chain(vectors.map(|(p, i)| (i, values(p.val()))))
            .collect()
    }
}

#[test]
fn six_steps_of_lars_equal_pytorch_also_when_saved_and_restored_after_three() {
    let golden = json(METHODS, "lars.json");
    let device = Device::default().autodiff();
    for case in golden["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let optimiser = || {
            let sgd = SgdConfig::new()
                .with_momentum(number("momentum"))
                .with_weight_decay(number("weight_decay"));
            LarsConfig::new(sgd).with_trust(number("eta")).init()
        };
        let run = |restore_after: Option<usize>| {
            let mut parameters = LarsParameters::new(&golden["start"], &device);
            let mut running = optimiser();
            for (step, gradients) in golden["gradients"].as_array().unwrap().iter().enumerate() {
                if restore_after == Some(step) {
                    let bytes = running.into_bytes().unwrap();
                    running = optimiser().from_bytes(bytes).unwrap();
                }
                let gradients = parameters.gradients(gradients);
                parameters = running.step(number("lr"), parameters, gradients);
            }
            parameters.values()
        };
        let straight = run(None);
        for (i, found) in &straight {
            // Six steps of a few roundings each.
            let error = distance(found, &numbers(&case["end"][*i]));
            assert!(error < 1e-6, "{}: off by {error:e}", golden["names"][*i]);
        }
        assert_eq!(straight, run(Some(3)));
    }
}

#[test]
fn momentum_of_another_shape_is_rejected() {
    let method = crate::small::vicreg().init(&Device::default());
    let optimiser = || SgdConfig::new().with_momentum(0.9).init();
    let zeros = |shape: &[usize]| TensorData::zeros::<f32, _>(shape.to_vec());
    let buffers = [("projector.0.weight".to_string(), zeros(&[24, 31]))];
    let error = continue_momentum(optimiser(), &method, buffers)
        .err()
        .unwrap();
    assert!(
        error.to_string().starts_with(
            "momentum of projector.0.weight is [24, 31], but the parameter is [24, 32]"
        ),
        "{error}"
    );
    let buffers = [("fc.weight".to_string(), zeros(&[1]))];
    let (_, unknown) = continue_momentum(optimiser(), &method, buffers).unwrap();
    assert_eq!(unknown, ["fc.weight"]);
}
