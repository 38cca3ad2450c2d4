use burn::tensor::{Device, Tensor, TensorData};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

use super::channel_norm::ChannelNorm;
use super::parameter::{Parameter, Rates, decayed};
use super::product::{scores, weight_gradient};
use super::softmax::{CrossEntropy, cross_entropy};
use super::{LinearProbeConfig, ProbeOptimizer};

/// Standard deviation of the initial weights (App. B.2).
const INIT_STD: f32 = 0.01;

/// LARS: a step with learning rate 1 moves a weight by this share of its norm.
const LARS_TRUST: f64 = 0.001;

/// Softmax regression with its momentum: the trained part of a probe.
///
/// The gradient has the closed form `(softmax - onehot)^T x / b`. So no autodiff graph is built,
/// and a step takes a handful of tensor operations on any device.
pub(super) struct Classifier {
    /// `[classes, d]`, as in PyTorch.
    pub weight: Parameter<2>,
    /// `[classes, 1]`
    pub bias: Parameter<2>,
    /// Normalization before the classifier, if any.
    norm: Option<ChannelNorm>,
}

impl Classifier {
    /// Weights from N(0, 0.01), bias 0. Drawn on the host, so that a seed gives the same weights on
    /// every device.
    pub fn random(dims: usize, classes: usize, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weight = vec![0.0; dims * classes];
        for dim in 0..dims {
            for class in 0..classes {
                let x: f32 = StandardNormal.sample(&mut rng);
                weight[class * dims + dim] = INIT_STD * x;
            }
        }
        let weight = Tensor::from_data(TensorData::new(weight, [classes, dims]), device);
        Self::new(weight)
    }

    /// The given weights `[classes, d]`, bias 0.
    pub fn new(weight: Tensor<2>) -> Self {
        let bias = Tensor::zeros([weight.dims()[0], 1], &weight.device());
        Self {
            weight: Parameter::new(weight),
            bias: Parameter::new(bias),
            norm: None,
        }
    }

    /// Adds batch normalization over `channels` channels before the classifier.
    pub fn with_norm(mut self, channels: usize) -> Self {
        self.norm = Some(ChannelNorm::new(channels, &self.weight.value.device()));
        self
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.bias.value.dims()[0]
    }

    /// Scores `[classes, b]` of features `[b, d]`.
    pub fn forward(&mut self, features: Tensor<2>) -> Tensor<2> {
        let mut features = match &self.norm {
            Some(norm) => norm.evaluate(features),
            None => features,
        };
        scores(&mut self.weight.value, &mut features) + self.bias.value.clone()
    }

    /// One step on features `[b, d]` and their labels; returns the sum of the b losses, `[1]`.
    pub fn step(
        &mut self,
        features: Tensor<2>,
        labels: &[usize],
        learning_rate: f64,
        config: &LinearProbeConfig,
    ) -> Tensor<1> {
        let mut features = match &mut self.norm {
            Some(norm) => norm.train(features),
            None => features,
        };
        let scores = scores(&mut self.weight.value, &mut features);
        let CrossEntropy { loss, mut error } =
            cross_entropy(scores, self.bias.value.clone(), labels);
        let rates = Rates {
            learning_rate,
            momentum: config.momentum,
            weight_decay: config.weight_decay,
        };
        if let Some(norm) = &mut self.norm {
            let gradient = error.clone().transpose().matmul(self.weight.value.clone());
            norm.step(gradient, rates);
        }
        let weight_gradient = weight_gradient(&mut error, &mut features);
        let bias_gradient = error.sum_dim(1);

        let without_decay = Rates {
            weight_decay: 0.0,
            ..rates
        };
        match config.optimizer {
            ProbeOptimizer::Sgd => {
                self.weight.descend(weight_gradient, rates);
                self.bias.descend(bias_gradient, rates);
            }
            ProbeOptimizer::Lars => {
                let weight = &self.weight.value;
                let gradient = decayed(weight_gradient, weight, config.weight_decay);
                let gradient = adapted(gradient, weight);
                self.weight.descend(gradient, without_decay);
                self.bias.descend(bias_gradient, without_decay);
            }
        }
        loss
    }
}

/// The gradient scaled by trust |p| / |g| (LARS), or unchanged if a norm is 0.
fn adapted(gradient: Tensor<2>, parameter: &Tensor<2>) -> Tensor<2> {
    let norm = |x: &Tensor<2>| (x.clone() * x.clone()).sum().sqrt();
    let (p, g) = (norm(parameter), norm(&gradient));
    let zero = (p.clone() * g.clone()).equal_elem(0.0);
    let scale = (p * LARS_TRUST / g).mask_fill(zero, 1.0);
    gradient * scale.unsqueeze::<2>()
}
