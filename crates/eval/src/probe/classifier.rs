use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData, activation::softmax};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

use super::channel_norm::ChannelNorm;
use super::{LinearProbeConfig, ProbeOptimizer};

/// Standard deviation of the initial weights (App. B.2).
const INIT_STD: f32 = 0.01;

/// LARS: a step with learning rate 1 moves a weight by this share of its norm.
const LARS_TRUST: f64 = 0.001;

/// Limits the reported loss of a vanished probability to 87 instead of infinity. Added rather than
/// used as a maximum, which would hide NaN.
const SMALLEST_PROBABILITY: f32 = f32::MIN_POSITIVE;

/// Smaller probabilities do not matter in an f32 gradient. But once a probe fits its images, they
/// become subnormal numbers, which slow a processor down several times.
const VANISHING: f32 = 1e-20;

/// Softmax regression with its momentum: the trained part of a probe.
///
/// The gradient has the closed form `x^T (softmax - onehot) / b`. So no autodiff graph is built,
/// and a step takes a handful of tensor operations on any device.
pub(super) struct Classifier {
    /// `[d, classes]`
    pub weight: Tensor<2>,
    /// `[1, classes]`
    pub bias: Tensor<2>,
    weight_velocity: Tensor<2>,
    bias_velocity: Tensor<2>,
    /// Normalization before the classifier, if any.
    norm: Option<ChannelNorm>,
}

impl Classifier {
    /// Weights from N(0, 0.01), bias 0. Drawn on the host, so that a seed gives the same weights on
    /// every device.
    pub fn random(dims: usize, classes: usize, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let weight: Vec<f32> = (0..dims * classes)
            .map(|_| {
                let x: f32 = StandardNormal.sample(&mut rng);
                INIT_STD * x
            })
            .collect();
        let weight = Tensor::from_data(TensorData::new(weight, [dims, classes]), device);
        Self::new(weight)
    }

    /// The given weights `[d, classes]`, bias 0.
    pub fn new(weight: Tensor<2>) -> Self {
        let bias = Tensor::zeros([1, weight.dims()[1]], &weight.device());
        Self {
            weight_velocity: weight.zeros_like(),
            bias_velocity: bias.zeros_like(),
            weight,
            bias,
            norm: None,
        }
    }

    /// Adds batch normalization over `channels` channels before the classifier.
    pub fn with_norm(mut self, channels: usize) -> Self {
        self.norm = Some(ChannelNorm::new(channels, &self.weight.device()));
        self
    }

    /// Scores `[b, classes]` of features `[b, d]`.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let features = match &self.norm {
            Some(norm) => norm.evaluate(features),
            None => features,
        };
        self.scores(features)
    }

    fn scores(&self, features: Tensor<2>) -> Tensor<2> {
        features.matmul(self.weight.clone()) + self.bias.clone()
    }

    /// One step on features `[b, d]` and labels `[b, 1]`; returns the sum of the b losses, `[1]`.
    pub fn step(
        &mut self,
        features: Tensor<2>,
        labels: Tensor<2, Int>,
        learning_rate: f64,
        config: &LinearProbeConfig,
    ) -> Tensor<1> {
        let [batch, _] = features.dims();
        let features = match &mut self.norm {
            Some(norm) => norm.train(features),
            None => features,
        };
        // Adding and subtracting the offset makes vanishing probabilities exactly 0.
        let probability = softmax(self.scores(features.clone()), 1)
            .add_scalar(VANISHING)
            .sub_scalar(VANISHING);
        let loss = probability
            .clone()
            .gather(1, labels.clone())
            .add_scalar(SMALLEST_PROBABILITY)
            .log()
            .sum()
            .neg();

        let minus_one = Tensor::full([batch, 1], -1.0, &features.device());
        let error = probability
            .scatter(1, labels, minus_one, IndexingUpdateOp::Add)
            .div_scalar(batch as f64);
        if let Some(norm) = &mut self.norm {
            let gradient = error.clone().matmul(self.weight.clone().transpose());
            norm.step(gradient, learning_rate, config);
        }
        let weight_gradient = features.transpose().matmul(error.clone());
        let bias_gradient = error.sum_dim(0);

        let (weight_gradient, bias_gradient) = match config.optimizer {
            ProbeOptimizer::Sgd => (
                decayed(weight_gradient, &self.weight, config.weight_decay),
                decayed(bias_gradient, &self.bias, config.weight_decay),
            ),
            ProbeOptimizer::Lars => (
                adapted(
                    decayed(weight_gradient, &self.weight, config.weight_decay),
                    &self.weight,
                ),
                bias_gradient,
            ),
        };
        let (momentum, lr) = (config.momentum, learning_rate);
        self.weight_velocity = self.weight_velocity.clone() * momentum + weight_gradient;
        self.bias_velocity = self.bias_velocity.clone() * momentum + bias_gradient;
        self.weight = self.weight.clone() - self.weight_velocity.clone() * lr;
        self.bias = self.bias.clone() - self.bias_velocity.clone() * lr;
        loss
    }
}

/// The gradient plus that of the L2 penalty.
fn decayed(gradient: Tensor<2>, parameter: &Tensor<2>, weight_decay: f64) -> Tensor<2> {
    if weight_decay == 0.0 {
        return gradient;
    }
    gradient + parameter.clone() * weight_decay
}

/// The gradient scaled by trust |p| / |g| (LARS), or unchanged if a norm is 0.
fn adapted(gradient: Tensor<2>, parameter: &Tensor<2>) -> Tensor<2> {
    let norm = |x: &Tensor<2>| (x.clone() * x.clone()).sum().sqrt();
    let (p, g) = (norm(parameter), norm(&gradient));
    let zero = (p.clone() * g.clone()).equal_elem(0.0);
    let scale = (p * LARS_TRUST / g).mask_fill(zero, 1.0);
    gradient * scale.unsqueeze::<2>()
}
