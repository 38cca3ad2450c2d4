//! The multi-layer perceptrons of projectors and predictors.

use burn::config::Config;
use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, Tensor};
use e2mc_resnet::{BatchNorm, BatchNormConfig};

/// Configuration of an [`Mlp`].
#[derive(Config, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MlpConfig {
    /// Sizes `[in, hidden, ..., out]`, at least two, each at least 1.
    pub dims: Vec<usize>,
    /// Whether the linear layers before a hidden size have a bias. The following normalization
    /// removes its effect.
    #[config(default = true)]
    pub hidden_bias: bool,
    /// Whether the last linear layer has a bias.
    #[config(default = true)]
    pub output_bias: bool,
    /// Whether a batch normalization without scale and shift follows the last linear layer.
    #[config(default = false)]
    pub output_norm: bool,
}

impl MlpConfig {
    /// Creates the layers: linear, batch normalization and ReLU for each hidden size, then a last
    /// linear layer and, with `output_norm`, a normalization.
    ///
    /// # Panics
    ///
    /// If there are fewer than two sizes or one is 0.
    pub fn init(&self, device: &Device) -> Mlp {
        assert!(
            self.dims.len() >= 2 && self.dims.iter().all(|&d| d > 0),
            "MlpConfig: dims needs two sizes at least, all positive, but is {:?}",
            self.dims
        );
        let last = self.dims.len() - 2;
        let mut layers = Vec::new();
        for (i, pair) in self.dims.windows(2).enumerate() {
            let bias = if i < last {
                self.hidden_bias
            } else {
                self.output_bias
            };
            layers.push(MlpLayer::Linear(
                LinearConfig::new(pair[0], pair[1])
                    .with_bias(bias)
                    .init(device),
            ));
            if i < last {
                layers.push(MlpLayer::BatchNorm(
                    BatchNormConfig::new(pair[1]).init(device),
                ));
                layers.push(MlpLayer::Relu);
            }
        }
        if self.output_norm {
            let norm = BatchNormConfig::new(self.dims[last + 1]).with_affine(false);
            layers.push(MlpLayer::BatchNorm(norm.init(device)));
        }
        Mlp { layers }
    }
}

/// A layer of an [`Mlp`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MlpLayer {
    /// Matrix product and bias.
    Linear(Linear),
    /// Batch normalization with PyTorch's semantics.
    BatchNorm(BatchNorm),
    /// `max(0, x)`.
    Relu,
}

/// A multi-layer perceptron, named as PyTorch's `nn.Sequential` names it: `0.weight`, `0.bias`,
/// `1.running_mean`, `3.weight`, ...; layers without parameters count.
#[derive(Debug, Clone)]
pub struct Mlp {
    /// The layers in order.
    pub layers: Vec<MlpLayer>,
}

impl Mlp {
    /// Applies the layers. An input in bf16 means mixed precision: products are bf16, parameters
    /// and batch normalization f32. The output is f32.
    ///
    /// # Shapes
    ///
    /// - input `[n, in]`
    /// - output `[n, out]`
    ///
    /// # Panics
    ///
    /// If the second dimension of the input is not `in`, or n = 1 in training with a hidden layer.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = self.layers.iter().fold(input, |x, layer| match layer {
            MlpLayer::Linear(linear) => product(linear, x),
            MlpLayer::BatchNorm(norm) => norm.forward(x),
            MlpLayer::Relu => relu(x),
        });
        output.cast(DType::F32)
    }
}

/// Computes `linear.forward(x)`, in the float type of `x`.
fn product(linear: &Linear, x: Tensor<2>) -> Tensor<2> {
    let (dtype, weight) = (x.dtype(), linear.weight.val());
    if dtype == weight.dtype() {
        return linear.forward(x);
    }
    let x = x.matmul(weight.cast(dtype));
    match &linear.bias {
        Some(bias) => x + bias.val().cast(dtype).unsqueeze(),
        None => x,
    }
}

/// Applies a method of `Module` to the module in the layer.
macro_rules! each_layer {
    ($layer:expr, $module:ident => $call:expr) => {
        match $layer {
            MlpLayer::Linear($module) => MlpLayer::Linear($call),
            MlpLayer::BatchNorm($module) => MlpLayer::BatchNorm($call),
            MlpLayer::Relu => MlpLayer::Relu,
        }
    };
}

/// Burn's name for a container of numbered children.
const CONTAINER: &str = "Vec";

// Written by hand: derived paths would contain the field and the variant, `layers.0.Linear.weight`.
impl Module for Mlp {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.layers
            .iter()
            .fold(devices, |devices, layer| match layer {
                MlpLayer::Linear(linear) => linear.collect_devices(devices),
                MlpLayer::BatchNorm(norm) => norm.collect_devices(devices),
                MlpLayer::Relu => devices,
            })
    }

    fn fork(self, device: &Device) -> Self {
        self.replace(|_, layer| each_layer!(layer, module => module.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.replace(|_, layer| each_layer!(layer, module => module.to_device(device)))
    }

    fn train(self) -> Self {
        self.replace(|_, layer| each_layer!(layer, module => module.train()))
    }

    fn valid(&self) -> Self {
        self.clone()
            .replace(|_, layer| each_layer!(layer, module => module.valid()))
    }

    fn materialize(self) -> Self {
        self.replace(|_, layer| each_layer!(layer, module => module.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (i, layer) in self.layers.iter().enumerate() {
            let name = i.to_string();
            visitor.enter_module(&name, CONTAINER);
            match layer {
                MlpLayer::Linear(linear) => linear.visit(visitor),
                MlpLayer::BatchNorm(norm) => norm.visit(visitor),
                MlpLayer::Relu => {}
            }
            visitor.exit_module(&name, CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.replace(|i, layer| {
            let name = i.to_string();
            mapper.enter_module(&name, CONTAINER);
            let mapped = each_layer!(layer, module => module.map(mapper));
            mapper.exit_module(&name, CONTAINER);
            mapped
        })
    }
}

impl Mlp {
    fn replace(self, mut f: impl FnMut(usize, MlpLayer) -> MlpLayer) -> Self {
        let layers = self.layers.into_iter().enumerate();
        Self {
            layers: layers.map(|(i, layer)| f(i, layer)).collect(),
        }
    }
}

impl ModuleDisplayDefault for Mlp {
    fn content(&self, content: Content) -> Option<Content> {
        let content = content.set_top_level_type("Mlp");
        self.layers
            .iter()
            .enumerate()
            .fold(content, |content, (i, layer)| {
                let name = i.to_string();
                match layer {
                    MlpLayer::Linear(linear) => content.add(&name, linear),
                    MlpLayer::BatchNorm(norm) => content.add(&name, norm),
                    MlpLayer::Relu => content,
                }
            })
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Mlp {}
