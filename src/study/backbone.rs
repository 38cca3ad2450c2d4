use burn::tensor::Device;
use e2mc_resnet::{Checkpoint, ResNet, Stem, infer_resnet_config};

use super::start::set_stem;
use crate::plan::CheckpointStart;
use crate::{Error, Preset, Result};

/// Opens a checkpoint with the options of its start.
///
/// # Errors
///
/// If the file cannot be read, or has no network under the prefix.
pub fn open_checkpoint(start: &CheckpointStart) -> Result<Checkpoint> {
    let checkpoint = match &start.prefix {
        Some(prefix) => Checkpoint::open_with(&start.path, prefix)?,
        None => Checkpoint::open(&start.path)?,
    };
    Ok(checkpoint.with_allow_unused(start.allow_unused))
}

/// Loads the ResNet of a checkpoint of any layout.
///
/// # Errors
///
/// If the checkpoint has no ResNet, or a ResNet with extra tensors in its blocks.
pub fn load_backbone(
    checkpoint: &Checkpoint,
    start: &CheckpointStart,
    device: &Device,
) -> Result<ResNet> {
    let mut config = infer_resnet_config(checkpoint)?;
    set_stem(&mut config, start);
    config.validate().map_err(ssl_methods::MethodError::from)?;
    let mut backbone = config.init(device);
    checkpoint.load_into(&mut backbone, checkpoint.backbone_prefix()?)?;
    Ok(backbone)
}

/// The preset for a checkpoint, by its layout and stem.
///
/// # Errors
///
/// If the file cannot be read, or contains no method that can be continued.
pub fn preset_for(start: &CheckpointStart) -> Result<Preset> {
    let checkpoint = open_checkpoint(start)?;
    let stem = infer_resnet_config(&checkpoint)?.stem;
    Preset::for_checkpoint(checkpoint.layout(), &stem).ok_or_else(|| Error::OtherMethod {
        path: start.path.clone(),
        found: checkpoint.layout().to_string(),
        planned: "a whole method (VICReg, SwAV, SimSiam or Barlow Twins, with its projector)",
    })
}

/// Describes the assumed stride of a small network's stem. None for the stem of ImageNet networks.
pub(crate) fn stem_decision(
    checkpoint: &Checkpoint,
    start: &CheckpointStart,
) -> Result<Option<String>> {
    Ok(match infer_resnet_config(checkpoint)?.stem {
        Stem::Small { kernel, stride, .. } => Some(format!(
            "The {kernel}x{kernel} stem has stride {}, {}.",
            start.stem_stride.unwrap_or(stride),
            match (start.stem_stride, checkpoint.states_stem()) {
                (Some(_), _) => "as the plan says",
                (None, true) => "as the file says",
                (None, false) =>
                    "which is a guess: the file does not say. With a wrong stride all accuracies \
                     are too low; set the stem's stride if it was trained with another",
            }
        )),
        _ => None,
    })
}
