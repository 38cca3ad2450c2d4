//! Batch normalisation with PyTorch's semantics.

use burn::config::Config;
use burn::module::{Flag, Module, Param, RunningState};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

/// Configuration of a [`BatchNorm`].
#[derive(Config, Debug)]
pub struct BatchNormConfig {
    /// Number of channels, at least 1.
    pub channels: usize,
    /// Learned scale and shift; without them the module has running statistics only.
    #[config(default = true)]
    pub affine: bool,
    /// Starts the learned scale at 0 instead of 1.
    #[config(default = false)]
    pub zero_init: bool,
    /// Added to the variance, positive.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of the newest batch in the running statistics, from 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
}

impl BatchNormConfig {
    /// Creates the layer: scale 1 (or 0), shift 0, running mean 0, running variance 1.
    ///
    /// # Panics
    /// If `channels` is 0.
    pub fn init(&self, device: &Device) -> BatchNorm {
        assert!(
            self.channels > 0,
            "BatchNormConfig: channels must be at least 1"
        );
        let shape = [self.channels];
        let scale = if self.zero_init { 0.0 } else { 1.0 };
        BatchNorm {
            weight: self
                .affine
                .then(|| Param::from_tensor(Tensor::full(shape, scale, device))),
            bias: self
                .affine
                .then(|| Param::from_tensor(Tensor::zeros(shape, device))),
            running_mean: RunningState::new(Tensor::zeros(shape, device)),
            running_var: RunningState::new(Tensor::ones(shape, device)),
            training: Param::from_bool(true),
            momentum: self.momentum,
            epsilon: self.epsilon,
        }
    }
}

/// Batch normalisation over axis 1, equal to PyTorch's `BatchNorm1d` and `BatchNorm2d`, under PyTorch's names.
///
/// Unlike `burn::nn::BatchNorm`, `running_var` takes the *unbiased* batch variance, as PyTorch's does, and scale and
/// shift are optional.
///
/// As in Burn, a layer on an autodiff device normalises with the statistics of the batch and updates the running
/// ones; elsewhere, after `valid()`, and when frozen (`freeze()`), it uses the running statistics. Two things to know:
/// - `clone()` *shares* the running statistics with the original, so two branches trained from one model would disturb
///   each other: load the model twice.
/// - the last update of the running statistics is pending until they are read with `value_sync`: take records and
///   exports from `module.valid()`, not from the module in training.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Learned scale, `[channels]`.
    pub weight: Option<Param<Tensor<1>>>,
    /// Learned shift, `[channels]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Running mean, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running unbiased variance, `[channels]`.
    pub running_var: RunningState<Tensor<1>>,
    /// Whether an autodiff device means batch statistics; off in a frozen layer.
    pub training: Param<Flag>,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// Normalises each channel of `input`.
    ///
    /// # Shapes
    /// - input and output `[n, channels, ...]`, of rank 2 or more
    ///
    /// # Panics
    /// If axis 1 of the input is not `channels`, or if there is only one value per channel in training (its variance
    /// does not exist; PyTorch raises an error too).
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [channels] = self.running_mean.value().dims();
        let dims = input.dims();
        assert!(
            D >= 2 && dims[1] == channels,
            "BatchNorm: expected an input [n, {channels}, ...], got {dims:?}"
        );
        if input.device().is_autodiff() && self.training.is_enabled() {
            self.forward_train(input)
        } else {
            self.forward_inference(input)
        }
    }

    fn scale_and_shift(&self, device: &Device) -> (Tensor<1>, Tensor<1>) {
        let shape = self.running_mean.value().dims();
        let scale = self.weight.as_ref().map(Param::val);
        let shift = self.bias.as_ref().map(Param::val);
        (
            scale.unwrap_or_else(|| Tensor::ones(shape, device)),
            shift.unwrap_or_else(|| Tensor::zeros(shape, device)),
        )
    }

    fn forward_inference<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let device = input.device();
        let (scale, shift) = self.scale_and_shift(&device);
        let mean = self.running_mean.value_sync().to_device(&device);
        let var = self.running_var.value_sync().to_device(&device);
        batch_norm(input, scale, shift, mean, var, self.epsilon)
    }

    fn forward_train<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let device = input.device();
        let dims = input.dims();
        let count = dims.iter().product::<usize>() / dims[1];
        assert!(
            count > 1,
            "BatchNorm: training needs more than one value per channel, got an input {dims:?}"
        );
        let (scale, shift) = self.scale_and_shift(&device);
        let result = batch_norm_train(input, scale, shift, self.epsilon);
        let unbiased = count as f64 / (count as f64 - 1.0);
        self.update(&self.running_mean, result.mean, 1.0);
        self.update(&self.running_var, result.variance, unbiased);
        result.output
    }

    /// Moves a running statistic towards the batch's, which is multiplied by `correction`.
    fn update(&self, running: &RunningState<Tensor<1>>, batch: Tensor<1>, correction: f64) {
        let device = batch.device();
        let old = running.value_sync().to_device(&device);
        let new = old * (1.0 - self.momentum) + batch.detach() * (self.momentum * correction);
        running.update(new.detach());
    }
}
