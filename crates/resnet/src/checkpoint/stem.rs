//! The stem's entry in a file's metadata.

use super::contents::StemShape;
use super::safetensors::STEM;
use crate::ResNet;
use crate::conv::padding;

/// A ResNet's entry of the metadata: its stem's convolution.
pub(crate) fn stem_metadata(backbone: &ResNet) -> (&'static str, String) {
    let conv = &backbone.conv1;
    let stem = StemShape {
        kernel: conv.kernel_size[0],
        stride: conv.stride[0],
        padding: padding(conv),
    };
    let text = serde_json::to_string(&stem).expect("three numbers are valid JSON");
    (STEM, text)
}
