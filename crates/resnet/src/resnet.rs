//! The network.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::batch_norm::{BatchNorm, BatchNormConfig};
use crate::block::Block;
use crate::config::{ResNetConfig, Stem};
use crate::conv::{padded_conv, padding};
use crate::layer::conv_norm;

/// A residual network without classifier, as torchvision defines it: `v1.5`, with the stride of a
/// bottleneck on its 3x3 convolution. Created by [`ResNetConfig::init`].
///
/// Batch normalization uses batch statistics on an autodiff device and running statistics
/// elsewhere. See [`BatchNorm`], also for why a `clone()` must not be trained beside its original.
#[derive(Module, Debug)]
pub struct ResNet {
    /// Convolution of the stem.
    pub conv1: Conv2d,
    /// Batch normalization of the stem.
    pub bn1: BatchNorm,
    /// Max pooling of the ImageNet stem; it has no parameters.
    pub max_pool: Option<MaxPool2d>,
    /// First stage, of stride 1.
    pub layer1: Vec<Block>,
    /// Second stage, of stride 2.
    pub layer2: Vec<Block>,
    /// Third stage, of stride 2.
    pub layer3: Vec<Block>,
    /// Fourth stage, of stride 2 (the paper's res5).
    pub layer4: Vec<Block>,
}

impl ResNetConfig {
    /// Creates the network with torchvision's initialization: convolutions drawn from a normal
    /// distribution of standard deviation `sqrt(2 / fan_out)`, batch normalizations at scale 1 and
    /// shift 0.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate). Call that
    /// first for options from outside the program.
    pub fn init(&self, device: &Device) -> ResNet {
        if let Err(error) = self.validate() {
            panic!("ResNetConfig: {error}");
        }
        ResNet::new(self, device)
    }
}

impl ResNet {
    /// The network of valid options.
    fn new(config: &ResNetConfig, device: &Device) -> Self {
        let ResNetConfig {
            block,
            layers,
            width,
            in_channels,
            stem,
            stem_padding,
            zero_init_residual,
        } = config.clone();
        let stem_conv = |kernel: usize, stride| {
            let padding = stem_padding.unwrap_or(kernel / 2);
            padded_conv(in_channels, width, kernel, stride, padding, device)
        };
        let (conv1, max_pool) = match stem {
            Stem::ImageNet => (
                stem_conv(7, 2),
                Some(
                    MaxPool2dConfig::new([3, 3])
                        .with_strides([2, 2])
                        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                        .init(),
                ),
            ),
            Stem::Small { kernel, stride } => (stem_conv(kernel, stride), None),
        };

        let mut channels = width;
        let mut stage = |index: usize| -> Vec<Block> {
            let inner = width << index;
            (0..layers[index])
                .map(|i| {
                    let stride = if i == 0 && index > 0 { 2 } else { 1 };
                    let made =
                        Block::new(block, channels, inner, stride, zero_init_residual, device);
                    channels = inner * block.expansion();
                    made
                })
                .collect()
        };
        Self {
            conv1,
            bn1: BatchNormConfig::new(width).init(device),
            max_pool,
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }

    /// Computes the representations: the mean of the last feature map over its positions.
    ///
    /// Images in bf16 (`images.cast(DType::BF16)`) mean mixed precision: convolutions and the maps
    /// between them are bf16, parameters, their gradients and batch normalization f32.
    ///
    /// # Shapes
    ///
    /// - images `[n, in_channels, h, w]`, any height and width
    /// - output `[n, out_features]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [_, _, _, res5] = self.forward_features(images);
        #[cfg(feature = "flex")]
        if burn_flex_conv::covers(&res5) {
            return burn_flex_conv::mean_pool2d(res5);
        }
        let ([n, c, h, w], dtype) = (res5.dims(), res5.dtype());
        // A sum in bf16 loses digits.
        let res5 = res5.cast(DType::F32).reshape([n, c, h * w]);
        res5.mean_dim(2).squeeze_dim(2).cast(dtype)
    }

    /// Channels of the images.
    pub fn in_channels(&self) -> usize {
        let [_, channels, ..] = self.conv1.weight.dims();
        channels
    }

    /// Number of features of the representation, the second dimension of
    /// [`forward`](Self::forward)'s output.
    pub fn out_features(&self) -> usize {
        let last = self.layer4.last().expect("every stage has a block");
        let conv = last.conv3.as_ref().unwrap_or(&last.conv2);
        let [out, ..] = conv.weight.dims();
        out
    }

    /// Computes the feature map after each of the four stages.
    ///
    /// # Shapes
    ///
    /// - images `[n, in_channels, h, w]`, any height and width
    /// - output `[n, out_features / 2^(3 - i), h_i, w_i]` for `i` in `0..4`; with the ImageNet stem
    ///   `h_i` is `h / 2^(2 + i)`, rounded up
    pub fn forward_features(&self, images: Tensor<4>) -> [Tensor<4>; 4] {
        let mut x = conv_norm(&self.conv1, &self.bn1, images, None, true);
        if let Some(pool) = &self.max_pool {
            x = max_pool(pool, x);
        }
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].map(|stage| {
            x = stage.iter().fold(x.clone(), |x, block| block.forward(x));
            x.clone()
        })
    }

    /// Number of values that the convolutions output for one image: 11.1 million for ResNet-50 at
    /// 224 x 224. A forward pass keeps about this many for the backward pass, up to a small factor.
    pub fn activations(&self, height: usize, width: usize) -> usize {
        self.trace(height, width).0
    }

    /// Height and width of the last feature map of images of `height` x `width` pixels.
    pub fn map_size(&self, height: usize, width: usize) -> [usize; 2] {
        self.trace(height, width).1
    }

    /// The number of values that the convolutions output, and the size of the last map.
    fn trace(&self, height: usize, width: usize) -> (usize, [usize; 2]) {
        let mut count = 0;
        let mut after = |conv: &Conv2d, [h, w]: [usize; 2]| {
            let [h, w] = [h, w].map(|side| {
                let kernels = side + 2 * padding(conv) + conv.stride[0];
                kernels.saturating_sub(conv.kernel_size[0]) / conv.stride[0]
            });
            count += conv.weight.dims()[0] * h * w;
            [h, w]
        };
        let mut size = after(&self.conv1, [height, width]);
        if let Some(pool) = &self.max_pool {
            size = [0, 1].map(|side| size[side].div_ceil(pool.stride[side]));
        }
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
        {
            if let Some((conv, _)) = &block.downsample {
                after(conv, size);
            }
            size = after(&block.conv1, size);
            size = after(&block.conv2, size);
            if let Some(conv) = &block.conv3 {
                size = after(conv, size);
            }
        }
        (count, size)
    }
}

/// Computes `pool.forward(input)`, with the fast pooling if there is one.
fn max_pool(pool: &MaxPool2d, input: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if burn_flex_conv::covers(&input) {
        let options = burn_flex_conv::MaxPoolOptions {
            kernel: 3,
            stride: 2,
            padding: 1,
        };
        return burn_flex_conv::max_pool2d(input, options);
    }
    pool.forward(input)
}
