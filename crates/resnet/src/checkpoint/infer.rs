//! Recovering the architecture from tensor names and shapes.

use super::error::{CheckpointError, Result};
use super::file::Checkpoint;
use crate::block::BlockKind;
use crate::config::{ResNetConfig, Stem};

/// Recovers the ResNet's configuration from a checkpoint: block, depth, width, image channels and
/// stem.
///
/// A 7x7 first convolution means the ImageNet stem, a smaller one [`Stem::Small`]. Shapes do not
/// show strides: a small stem gets stride 1. If it had another stride, set it:
/// `config.with_stem(Stem::Small { kernel: 3, stride: 2 })`. Shapes do not show padding either: see
/// [`ResNetConfig::stem_padding`]. This crate's own exports state both, as does a PyTorch file with
/// a dictionary `stem` of `kernel`, `stride` and `padding` beside the weights.
///
/// # Errors
///
/// If the checkpoint holds no ResNet, or one whose convolutions have other shapes than this
/// family's (ResNeXt, ResNet-D, torchvision's `wide_resnet`).
pub fn infer_resnet_config(checkpoint: &Checkpoint) -> Result<ResNetConfig> {
    let prefix = match checkpoint.backbone_prefix()? {
        "" => String::new(),
        prefix => format!("{prefix}."),
    };
    let no_resnet = |reason: String| CheckpointError::NoResNet {
        path: checkpoint.path().to_path_buf(),
        reason,
    };

    let name = format!("{prefix}conv1.weight");
    if let Some(kind) = checkpoint.unsupported.get(&name) {
        return Err(CheckpointError::UnsupportedTensor {
            path: checkpoint.path().to_path_buf(),
            name,
            kind: kind.clone(),
        });
    }
    let (width, in_channels, kernel) = match checkpoint.shape(&name).as_deref() {
        Some(&[width, in_channels, kernel, same])
            if kernel == same && kernel % 2 == 1 && width > 0 && in_channels > 0 =>
        {
            (width, in_channels, kernel)
        }
        shape => {
            return Err(no_resnet(format!(
                "{name} has the shape {:?}, expected [width, channels, k, k] with odd k",
                shape.unwrap_or_default()
            )));
        }
    };

    let has = |name: String| checkpoint.tensors.contains_key(&name);
    let block = if has(format!("{prefix}layer1.0.conv3.weight")) {
        BlockKind::Bottleneck
    } else {
        BlockKind::Basic
    };
    let layers = [1, 2, 3, 4].map(|stage| {
        (0..)
            .take_while(|i| has(format!("{prefix}layer{stage}.{i}.conv1.weight")))
            .count()
    });
    if layers.contains(&0) {
        return Err(no_resnet(format!(
            "its stages have {layers:?} blocks, expected at least one in each"
        )));
    }

    let stated = checkpoint
        .facts
        .stem
        .filter(|stem| stem.kernel == kernel && (1..=kernel).contains(&stem.stride));
    let padding = stated.map(|stem| stem.padding);
    let config = ResNetConfig::new(block, layers)
        .with_width(width)
        .with_in_channels(in_channels)
        .with_stem(match (kernel, stated.map(|stem| stem.stride)) {
            (7, None | Some(2)) => Stem::ImageNet,
            (kernel, stride) => Stem::Small {
                kernel,
                stride: stride.unwrap_or(1),
            },
        })
        .with_stem_padding(padding.filter(|&padding| padding != kernel / 2 && padding <= kernel));
    check_convolutions(checkpoint, &prefix, &config)?;
    Ok(config)
}

/// Checks every convolution against the configuration, so that a network is never larger than its
/// file.
fn check_convolutions(checkpoint: &Checkpoint, prefix: &str, config: &ResNetConfig) -> Result<()> {
    let wrong: Vec<String> = block_convolutions(config)
        .into_iter()
        .filter_map(|(name, expected)| {
            let name = format!("{prefix}{name}");
            match checkpoint.shape(&name) {
                None => Some(format!("{name} is missing")),
                Some(found) if found != expected => {
                    Some(format!("{name} is {found:?} instead of {expected:?}"))
                }
                Some(_) => None,
            }
        })
        .collect();
    match wrong.as_slice() {
        [] => Ok(()),
        [first, others @ ..] => Err(CheckpointError::NoResNet {
            path: checkpoint.path().to_path_buf(),
            reason: format!("{first}, and {} more differ", others.len()),
        }),
    }
}

/// Names and shapes of the convolutions in the four stages. Sizes saturate: they come from the
/// file.
fn block_convolutions(config: &ResNetConfig) -> Vec<(String, [usize; 4])> {
    let mut convolutions = Vec::new();
    let mut channels = config.width;
    for (stage, &blocks) in config.layers.iter().enumerate() {
        let inner = config.width.saturating_mul(1 << stage);
        let out = inner.saturating_mul(config.block.expansion());
        for i in 0..blocks {
            let block = format!("layer{}.{i}", stage + 1);
            let shapes = match config.block {
                BlockKind::Basic => vec![[inner, channels, 3, 3], [inner, inner, 3, 3]],
                BlockKind::Bottleneck => vec![
                    [inner, channels, 1, 1],
                    [inner, inner, 3, 3],
                    [out, inner, 1, 1],
                ],
            };
            for (conv, shape) in shapes.into_iter().enumerate() {
                convolutions.push((format!("{block}.conv{}.weight", conv + 1), shape));
            }
            if i == 0 && (stage > 0 || channels != out) {
                convolutions.push((
                    format!("{block}.downsample.0.weight"),
                    [out, channels, 1, 1],
                ));
            }
            channels = out;
        }
    }
    convolutions
}

/// Names of the tensors within the stem and the blocks that no ResNet of this family has.
pub(super) fn unused_in_blocks(checkpoint: &Checkpoint) -> Vec<String> {
    let Ok(prefix) = checkpoint.backbone_prefix() else {
        return Vec::new();
    };
    let prefix = match prefix {
        "" => String::new(),
        prefix => format!("{prefix}."),
    };
    let names = checkpoint
        .tensors
        .keys()
        .chain(checkpoint.unsupported.keys());
    names
        .filter(|name| {
            name.strip_prefix(&prefix)
                .is_some_and(|inner| within_blocks(inner) && !has_place(inner))
        })
        .cloned()
        .collect()
}

/// Whether a name relative to the backbone lies in its stem or stages.
fn within_blocks(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    first == "conv1"
        || first == "bn1"
        || first
            .strip_prefix("layer")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a ResNet of this family has the tensor, or the tensor has no effect.
fn has_place(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let inner = match parts.as_slice() {
        [stage, block, inner @ ..]
            if matches!(*stage, "layer1" | "layer2" | "layer3" | "layer4")
                && block.bytes().all(|b| b.is_ascii_digit()) =>
        {
            inner
        }
        whole => whole,
    };
    match inner {
        ["conv1" | "conv2" | "conv3", "weight"] | ["downsample", "0", "weight"] => true,
        ["bn1" | "bn2" | "bn3", last] | ["downsample", "1", last] => matches!(
            *last,
            "weight" | "bias" | "running_mean" | "running_var" | "num_batches_tracked"
        ),
        _ => false,
    }
}
