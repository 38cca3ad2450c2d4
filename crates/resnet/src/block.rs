//! The residual blocks.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use crate::batch_norm::{BatchNorm, BatchNormConfig};
use crate::conv::conv;
use crate::layer::{conv_norm, conv_norm_add_relu, joint};

/// The two residual blocks of He et al. (2016).
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3x3 convolutions (ResNet-18 and 34).
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions; the stride is on the 3x3 one, as in torchvision (ResNet-50
    /// and deeper).
    Bottleneck,
}

impl BlockKind {
    /// Output channels of a block divided by its inner channels: 1 or 4.
    pub fn expansion(&self) -> usize {
        match self {
            BlockKind::Basic => 1,
            BlockKind::Bottleneck => 4,
        }
    }
}

/// One residual block of either [kind](BlockKind), with torchvision's parameter names.
#[derive(Module, Debug)]
pub struct Block {
    /// 3x3 with the block's stride (basic) or 1x1 (bottleneck).
    pub conv1: Conv2d,
    /// After `conv1`.
    pub bn1: BatchNorm,
    /// 3x3; carries the block's stride in a bottleneck.
    pub conv2: Conv2d,
    /// After `conv2`.
    pub bn2: BatchNorm,
    /// 1x1 to four times the inner channels; bottleneck only.
    pub conv3: Option<Conv2d>,
    /// After `conv3`; bottleneck only.
    pub bn3: Option<BatchNorm>,
    /// 1x1 convolution and batch normalization of the shortcut, where the block changes shape.
    pub downsample: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    /// Creates a block from `channels_in` to `inner * kind.expansion()` channels.
    pub(crate) fn new(
        kind: BlockKind,
        channels_in: usize,
        inner: usize,
        stride: usize,
        zero_init_residual: bool,
        device: &Device,
    ) -> Self {
        let channels_out = inner * kind.expansion();
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        let last_norm = |channels| {
            BatchNormConfig::new(channels)
                .with_zero_init(zero_init_residual)
                .init(device)
        };
        let downsample = (stride != 1 || channels_in != channels_out).then(|| {
            (
                conv(channels_in, channels_out, 1, stride, device),
                norm(channels_out),
            )
        });

        match kind {
            BlockKind::Basic => Self {
                conv1: conv(channels_in, inner, 3, stride, device),
                bn1: norm(inner),
                conv2: conv(inner, inner, 3, 1, device),
                bn2: last_norm(inner),
                conv3: None,
                bn3: None,
                downsample,
            },
            BlockKind::Bottleneck => Self {
                conv1: conv(channels_in, inner, 1, 1, device),
                bn1: norm(inner),
                conv2: conv(inner, inner, 3, stride, device),
                bn2: norm(inner),
                conv3: Some(conv(inner, channels_out, 1, 1, device)),
                bn3: Some(last_norm(channels_out)),
                downsample,
            },
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - input `[n, channels_in, h, w]`
    /// - output `[n, channels_out, ceil(h / stride), ceil(w / stride)]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let norms = [Some(&self.bn1), Some(&self.bn2), self.bn3.as_ref()];
        let norms = norms
            .into_iter()
            .flatten()
            .chain(self.downsample.as_ref().map(|(_, norm)| norm));
        let joint = joint(norms, &input);
        let joint = joint.as_ref();
        let (shortcut, of_shortcut) = match &self.downsample {
            Some((conv, norm)) => (conv_norm(conv, norm, input.clone(), joint, false), None),
            None => (input.clone(), joint),
        };
        let first = conv_norm(&self.conv1, &self.bn1, input, joint, true);
        match (&self.conv3, &self.bn3) {
            (Some(conv3), Some(bn3)) => {
                let second = conv_norm(&self.conv2, &self.bn2, first, None, true);
                conv_norm_add_relu(conv3, bn3, second, shortcut, of_shortcut)
            }
            _ => conv_norm_add_relu(&self.conv2, &self.bn2, first, shortcut, of_shortcut),
        }
    }
}
