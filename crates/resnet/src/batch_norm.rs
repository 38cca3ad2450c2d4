//! Batch normalization with PyTorch's semantics.

use burn::config::Config;
use burn::module::{Flag, Module, Param, RunningState};
use burn::tensor::{DType, Device, Tensor};

use crate::sync;

/// Configuration of a [`BatchNorm`].
#[derive(Config, Debug)]
#[non_exhaustive]
pub struct BatchNormConfig {
    /// Number of channels, at least 1.
    pub channels: usize,
    /// Whether to have a learned scale and shift. Without them, the module has only running
    /// statistics.
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
    ///
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

/// Batch normalization over axis 1, equal to PyTorch's `BatchNorm1d` and `BatchNorm2d`, under
/// PyTorch's names.
///
/// Unlike `burn::nn::BatchNorm`, `running_var` takes the *unbiased* batch variance, as PyTorch's
/// does, and scale and shift are optional.
///
/// As in Burn, a layer on an autodiff device normalizes with the statistics of the batch and
/// updates the running ones; elsewhere, after `valid()`, and when frozen (`freeze()`), it uses the
/// running statistics. Three things to know:
/// - `clone()` *shares* the running statistics with the original, so two branches trained from one
///   model would disturb each other. Load the model twice instead.
/// - the last update of the running statistics is pending until they are read with `value_sync`, in
///   the same thread. Take records and exports from `module.valid()`, not from the module in
///   training.
/// - in a replica of [`SyncBatchNorm`](crate::SyncBatchNorm), the batch is that of all replicas.
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
    /// Whether to use batch statistics on an autodiff device; false in a frozen layer.
    pub training: Param<Flag>,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// Normalizes each channel of `input`. Computes in f32, and returns the input's float type.
    ///
    /// # Shapes
    ///
    /// - input and output `[n, channels, ...]`, of rank 2 or more
    ///
    /// # Panics
    ///
    /// If axis 1 of the input is not `channels`, or if there is only one value per channel in
    /// training (its variance does not exist; PyTorch raises an error too).
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [channels] = self.running_mean.value().dims();
        let dims = input.dims();
        assert!(
            D >= 2 && dims[1] == channels,
            "BatchNorm: expected an input [n, {channels}, ...], got {dims:?}"
        );
        let dtype = input.dtype();
        if matches!(dtype, DType::BF16 | DType::F16) {
            return self.forward(input.cast(DType::F32)).cast(dtype);
        }
        if self.uses_batch(&input) {
            self.forward_train(input)
        } else {
            self.forward_inference(input)
        }
    }

    /// Whether `input` is normalized with batch statistics.
    pub(crate) fn uses_batch<const D: usize>(&self, input: &Tensor<D>) -> bool {
        input.device().is_autodiff() && self.training.is_enabled()
    }

    /// Computes [`forward`](Self::forward) with batch statistics, adds the residual, and applies a
    /// ReLU if `relu`, in few passes. Updates the running statistics. The residual may have a
    /// joint, which collects its gradient.
    ///
    /// # Shapes
    ///
    /// - input, residual and output `[n, channels, h, w]`
    #[cfg(feature = "flex")]
    pub(crate) fn forward_fused(
        &self,
        input: Tensor<4>,
        residual: Option<(Tensor<4>, Option<&burn_flex_conv::JointInput>)>,
        relu: bool,
    ) -> Tensor<4> {
        let [n, channels, h, w] = input.dims();
        let count = n * h * w;
        assert_several(count, &[n, channels, h, w]);
        let device = input.device();
        let parameter = |parameter: &Option<Param<Tensor<1>>>, default| match parameter {
            Some(parameter) => parameter.val(),
            None => Tensor::full([channels], default, &device),
        };
        let options = burn_flex_conv::NormOptions {
            epsilon: self.epsilon,
            relu,
        };
        let weight = parameter(&self.weight, 1.0);
        let bias = parameter(&self.bias, 0.0);
        let found = match residual {
            Some((residual, Some(joint))) => {
                burn_flex_conv::batch_norm_joint(input, weight, bias, residual, options, joint)
            }
            Some((residual, None)) => {
                burn_flex_conv::batch_norm(input, weight, bias, Some(residual), options)
            }
            None => burn_flex_conv::batch_norm(input, weight, bias, None, options),
        };
        self.update(&self.running_mean, found.mean);
        let unbiased = count as f64 / (count as f64 - 1.0);
        self.update(&self.running_var, found.variance * unbiased);
        found.output
    }

    /// The running statistics as one scale and one shift for each channel, `[channels]`.
    #[cfg(feature = "flex")]
    pub(crate) fn scale_and_shift_of_running(&self, device: &Device) -> [Tensor<1>; 2] {
        let mean = self.running_mean.value_sync().to_device(device);
        let var = self.running_var.value_sync().to_device(device);
        let mut scale = (var + self.epsilon).sqrt().recip();
        if let Some(weight) = &self.weight {
            scale = scale * weight.val();
        }
        let mut shift = -(mean * scale.clone());
        if let Some(bias) = &self.bias {
            shift = shift + bias.val();
        }
        [scale, shift]
    }

    fn forward_inference<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let device = input.device();
        let mean = self.running_mean.value_sync().to_device(&device);
        let var = self.running_var.value_sync().to_device(&device);
        let dims = input.dims();
        let (n, channels) = (dims[0], dims[1]);
        let per_channel = [1, channels, 1];
        let x = input.reshape([n, channels, dims[2..].iter().product()]);
        self.scale_and_shift(x, mean.reshape(per_channel), var.reshape(per_channel))
            .reshape(dims)
    }

    fn forward_train<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let dims = input.dims();
        let (n, channels) = (dims[0], dims[1]);
        let positions = dims[2..].iter().product();
        let count = n * positions;
        #[cfg(feature = "flex")]
        if burn_flex_conv::covers(&input) && !sync::active() {
            return self
                .forward_fused(input.reshape([n, channels, positions, 1]), None, false)
                .reshape(dims);
        }
        let x = input.reshape([n, channels, positions]);

        // Centered first, without gradient. The variance is then the mean square minus a tiny
        // squared mean and loses no digits. This saves passes over the activations, forward and
        // backward.
        let center = channel_mean(x.clone().detach());
        let x = x - center.clone();
        let mean = channel_mean(x.clone());
        let var = channel_mean(x.clone().square()) - mean.clone().square();
        let (mean, var, count) = sync::statistics_of_all(&center, mean, var, count);
        assert_several(count, &dims);
        self.update(
            &self.running_mean,
            (center + mean.clone().detach()).reshape([channels]),
        );
        let unbiased = count as f64 / (count as f64 - 1.0);
        self.update(
            &self.running_var,
            (var.clone().detach() * unbiased).reshape([channels]),
        );
        self.scale_and_shift(x, mean, var).reshape(dims)
    }

    /// `weight * (x - mean) / sqrt(var + epsilon) + bias` as one scale and one shift per channel:
    /// two passes over `x`.
    ///
    /// # Shapes
    ///
    /// - x and output `[n, channels, positions]`, mean and var `[1, channels, 1]`
    fn scale_and_shift(&self, x: Tensor<3>, mean: Tensor<3>, var: Tensor<3>) -> Tensor<3> {
        let per_channel = mean.dims();
        let mut scale = (var + self.epsilon).sqrt().recip();
        if let Some(weight) = &self.weight {
            scale = scale * weight.val().reshape(per_channel);
        }
        let mut shift = -(mean * scale.clone());
        if let Some(bias) = &self.bias {
            shift = shift + bias.val().reshape(per_channel);
        }
        x * scale + shift
    }

    /// Moves a running statistic toward the batch's, `[channels]`.
    fn update(&self, running: &RunningState<Tensor<1>>, batch: Tensor<1>) {
        let old = running.value_sync().to_device(&batch.device());
        running.update((old * (1.0 - self.momentum) + batch * self.momentum).detach());
    }
}

/// # Panics
///
/// If there is only one value per channel.
fn assert_several(count: usize, dims: &[usize]) {
    assert!(
        count > 1,
        "BatchNorm: training needs more than one value per channel, got an input {dims:?}"
    );
}

/// The mean of each channel: `[n, channels, positions]` to `[1, channels, 1]`. Over the images
/// first, since adding contiguous rows is the fastest reduction.
fn channel_mean(x: Tensor<3>) -> Tensor<3> {
    x.mean_dim(0).mean_dim(2)
}
