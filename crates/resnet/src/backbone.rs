//! Any network that can be pre-trained and evaluated.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::ResNet;

/// A network that computes features of images. Self-supervised methods train it, and evaluation
/// measures its features. [`ResNet`] is one; implement it for a ViT or your own network.
pub trait Backbone: Module + ModuleDisplay + Sync {
    /// Computes the features. In mixed precision the images are bf16, and layers cast their weights
    /// to it; the features may be bf16 or f32.
    ///
    /// # Shapes
    ///
    /// - images `[n, in_channels, h, w]`
    /// - output `[n, out_features]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;

    /// Channels of the images.
    fn in_channels(&self) -> usize;

    /// Number of features of an image.
    fn out_features(&self) -> usize;

    /// Number of values that a forward pass of one image of `height` x `width` pixels keeps for the
    /// backward pass, up to a small factor. A run's memory is estimated from it. `None`, the
    /// default, if unknown.
    fn activations(&self, _height: usize, _width: usize) -> Option<usize> {
        None
    }

    /// Properties of the network that the shapes of its tensors do not show, as names and values.
    /// A saved file has them in its metadata. Empty by default.
    fn metadata(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl Backbone for ResNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images)
    }

    fn in_channels(&self) -> usize {
        self.in_channels()
    }

    fn out_features(&self) -> usize {
        self.out_features()
    }

    /// The values that the convolutions output: 11.1 million for ResNet-50 at 224 x 224.
    fn activations(&self, height: usize, width: usize) -> Option<usize> {
        Some(self.activations(height, width))
    }

    /// The stem's kernel, stride and padding, which [`infer_resnet_config`] reads.
    ///
    /// [`infer_resnet_config`]: crate::infer_resnet_config
    fn metadata(&self) -> Vec<(&'static str, String)> {
        vec![crate::checkpoint::stem_metadata(self)]
    }
}
