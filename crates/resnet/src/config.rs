//! The configuration of a ResNet.

use burn::config::Config;

use crate::InvalidOption;
use crate::block::BlockKind;

/// The layers before the first residual stage.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stem {
    /// The stem of ImageNet-sized networks: a 7x7 convolution of stride 2 and padding 3, then a 3x3
    /// max pooling of stride 2 and padding 1. Divides height and width by 4.
    ImageNet,
    /// One convolution with `kernel / 2` zeros of padding (see [`ResNetConfig::stem_padding`]), and
    /// no pooling, for small images.
    Small {
        /// Height and width of the kernel, odd (CIFAR networks: 3).
        kernel: usize,
        /// Stride of the convolution (CIFAR networks: 1).
        stride: usize,
    },
}

/// Configuration of a [`ResNet`](crate::ResNet).
///
/// ```
/// use e2mc_resnet::{ResNetConfig, Stem};
///
/// assert_eq!(ResNetConfig::resnet50().out_features(), 2048);
/// let stem = Stem::Small { kernel: 3, stride: 1 };
/// let small = ResNetConfig::resnet18().with_width(16).with_stem(stem);
/// assert_eq!(small.out_features(), 128);
/// ```
#[derive(Config, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResNetConfig {
    /// The residual block of all four stages.
    pub block: BlockKind,
    /// Number of blocks in each of the four stages, each at least 1.
    pub layers: [usize; 4],
    /// Channels of the stem and inner channels of the first stage; they double from stage to stage.
    /// The wide networks released with SwAV have 128 ([`x2`](Self::resnet50_x2)) and 256
    /// ([`x4`](Self::resnet50_x4)).
    #[config(default = 64)]
    pub width: usize,
    /// Channels of the image: 3 for color, 1 for gray.
    #[config(default = 3)]
    pub in_channels: usize,
    /// The layers before the first stage.
    #[config(default = "Stem::ImageNet")]
    pub stem: Stem,
    /// Zeros on each side of the image before the stem's convolution; `None` is `kernel / 2`.
    /// Shapes do not show it. The 3x3 stem of some published CIFAR networks has 2, which makes the
    /// feature maps two pixels larger.
    pub stem_padding: Option<usize>,
    /// Starts the scale of each block's last batch normalization at 0 instead of 1, so that every
    /// block begins as the identity (Goyal et al. 2017).
    #[config(default = false)]
    pub zero_init_residual: bool,
}

impl ResNetConfig {
    /// ResNet-18: basic blocks, 512 features.
    pub fn resnet18() -> Self {
        Self::new(BlockKind::Basic, [2, 2, 2, 2])
    }

    /// ResNet-34: basic blocks, 512 features.
    pub fn resnet34() -> Self {
        Self::new(BlockKind::Basic, [3, 4, 6, 3])
    }

    /// ResNet-50: bottleneck blocks, 2048 features.
    pub fn resnet50() -> Self {
        Self::new(BlockKind::Bottleneck, [3, 4, 6, 3])
    }

    /// ResNet-101: bottleneck blocks, 2048 features.
    pub fn resnet101() -> Self {
        Self::new(BlockKind::Bottleneck, [3, 4, 23, 3])
    }

    /// ResNet-152: bottleneck blocks, 2048 features.
    pub fn resnet152() -> Self {
        Self::new(BlockKind::Bottleneck, [3, 8, 36, 3])
    }

    /// ResNet-50 of twice the width, as released with SwAV: 4096 features.
    pub fn resnet50_x2() -> Self {
        Self::resnet50().with_width(128)
    }

    /// ResNet-50 of four times the width, as released with SwAV: 8192 features.
    pub fn resnet50_x4() -> Self {
        Self::resnet50().with_width(256)
    }

    /// The network's name: `ResNet-50`, `ResNet-50 x2`, or a description of how it differs.
    pub fn name(&self) -> String {
        use BlockKind::{Basic, Bottleneck};
        let mut name = match (self.block, self.layers) {
            (Basic, [2, 2, 2, 2]) => "ResNet-18".to_string(),
            (Basic, [3, 4, 6, 3]) => "ResNet-34".to_string(),
            (Bottleneck, [3, 4, 6, 3]) => "ResNet-50".to_string(),
            (Bottleneck, [3, 4, 23, 3]) => "ResNet-101".to_string(),
            (Bottleneck, [3, 8, 36, 3]) => "ResNet-152".to_string(),
            (Basic, layers) => format!("ResNet of {layers:?} basic blocks"),
            (Bottleneck, layers) => format!("ResNet of {layers:?} bottleneck blocks"),
        };
        match self.width {
            64 => {}
            width if width.is_multiple_of(64) => name.push_str(&format!(" x{}", width / 64)),
            width => name.push_str(&format!(", width {width}")),
        }
        if let Stem::Small { kernel, .. } = self.stem {
            name.push_str(&format!(", {kernel}x{kernel} stem"));
        }
        match self.in_channels {
            3 => {}
            1 => name.push_str(", 1 channel"),
            channels => name.push_str(&format!(", {channels} channels")),
        }
        name
    }

    /// Number of features of the representation: the second dimension of the output of
    /// [`ResNet::forward`](crate::ResNet::forward).
    pub fn out_features(&self) -> usize {
        self.width * 8 * self.block.expansion()
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] for the first option that is out of range.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        const ONE: &str = "at least 1";
        InvalidOption::check(
            self.layers.iter().all(|&n| n > 0),
            "layers",
            self.layers,
            "at least one block in each stage",
        )?;
        InvalidOption::check(self.width > 0, "width", self.width, ONE)?;
        InvalidOption::check(self.in_channels > 0, "in_channels", self.in_channels, ONE)?;
        match self.stem {
            Stem::ImageNet => Ok(()),
            Stem::Small { kernel, stride } => InvalidOption::check(
                kernel % 2 == 1 && stride > 0,
                "stem",
                self.stem,
                "an odd kernel and a stride of at least 1",
            ),
        }
    }
}
