use burn::tensor::{Device, Tensor};

use super::LinearProbeConfig;

const EPSILON: f64 = 1e-5;

/// Weight of a batch's statistics in the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Batch normalization over the channels of features `[b, c p]`, where each channel is p
/// neighboring columns. The input needs no gradient.
pub(super) struct ChannelNorm {
    channels: usize,
    /// `[1, c, 1]`, like all below.
    scale: Tensor<3>,
    shift: Tensor<3>,
    scale_velocity: Tensor<3>,
    shift_velocity: Tensor<3>,
    running_mean: Tensor<3>,
    running_variance: Tensor<3>,
    /// Normalized features of the current step, `[b, c, p]`.
    normalized: Option<Tensor<3>>,
}

impl ChannelNorm {
    pub fn new(channels: usize, device: &Device) -> Self {
        let zeros = Tensor::zeros([1, channels, 1], device);
        Self {
            channels,
            scale: zeros.ones_like(),
            shift: zeros.clone(),
            scale_velocity: zeros.clone(),
            shift_velocity: zeros.clone(),
            running_mean: zeros.clone(),
            running_variance: zeros.ones_like(),
            normalized: None,
        }
    }

    /// Features `[b, c p]` normalized by the running statistics.
    pub fn evaluate(&self, features: Tensor<2>) -> Tensor<2> {
        let shape = features.dims();
        let deviation = (self.running_variance.clone() + EPSILON).sqrt();
        let normalized = (self.split(features) - self.running_mean.clone()) / deviation;
        (normalized * self.scale.clone() + self.shift.clone()).reshape(shape)
    }

    /// Features `[b, c p]` normalized by the batch's statistics. Updates the running statistics.
    pub fn train(&mut self, features: Tensor<2>) -> Tensor<2> {
        let shape = features.dims();
        let features = self.split(features);
        let [batch, _, places] = features.dims();
        let count = (batch * places) as f64;
        let mean = features.clone().mean_dim(0).mean_dim(2);
        let centered = features - mean.clone();
        let squares = centered.clone() * centered.clone();
        let variance = squares.mean_dim(0).mean_dim(2);
        // The running variance is unbiased.
        let unbiased = variance.clone() * (count / (count - 1.0).max(1.0));
        self.running_mean = self.running_mean.clone() * (1.0 - MOMENTUM) + mean * MOMENTUM;
        self.running_variance =
            self.running_variance.clone() * (1.0 - MOMENTUM) + unbiased * MOMENTUM;
        let normalized = centered / (variance + EPSILON).sqrt();
        self.normalized = Some(normalized.clone());
        (normalized * self.scale.clone() + self.shift.clone()).reshape(shape)
    }

    /// One step of SGD, given the gradient with respect to the output of [`train`](Self::train).
    pub fn step(&mut self, gradient: Tensor<2>, learning_rate: f64, config: &LinearProbeConfig) {
        let normalized = self.normalized.take().expect("train comes before step");
        let gradient = self.split(gradient);
        let per_channel = |x: Tensor<3>| x.sum_dim(0).sum_dim(2);
        let of_scale = per_channel(gradient.clone() * normalized);
        let of_shift = per_channel(gradient);
        let (momentum, decay) = (config.momentum, config.weight_decay);
        let velocity = |velocity: &Tensor<3>, gradient: Tensor<3>, parameter: &Tensor<3>| {
            velocity.clone() * momentum + gradient + parameter.clone() * decay
        };
        self.scale_velocity = velocity(&self.scale_velocity, of_scale, &self.scale);
        self.shift_velocity = velocity(&self.shift_velocity, of_shift, &self.shift);
        self.scale = self.scale.clone() - self.scale_velocity.clone() * learning_rate;
        self.shift = self.shift.clone() - self.shift_velocity.clone() * learning_rate;
    }

    fn split(&self, features: Tensor<2>) -> Tensor<3> {
        let [batch, dims] = features.dims();
        features.reshape([batch, self.channels, dims / self.channels])
    }
}
