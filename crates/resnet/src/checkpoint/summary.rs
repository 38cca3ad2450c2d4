//! A summary of a checkpoint.

use std::fmt;

use burn::tensor::Device;

use super::contents::Format;
use super::error::{CheckpointError, Result};
use super::file::{Checkpoint, TensorInfo};
use super::infer::infer_resnet_config;
use super::layout::Layout;
use super::load::LoadReport;
use crate::{ResNet, ResNetConfig};

/// The content of a checkpoint.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The format of the file.
    pub format: Format,
    /// The layout, recognized by the names.
    pub layout: Layout,
    /// The ResNet, or why this crate does not know it.
    pub architecture: Result<ResNetConfig, String>,
    /// The value of `arch` in the file.
    pub arch: Option<String>,
    /// The value of `epoch` in the file.
    pub epoch: Option<u64>,
    /// The parts of the model, the backbone first, then by name.
    pub parts: Vec<Part>,
    /// Number of tensors besides the model, such as the optimizer's state.
    pub outside: usize,
    /// Whether the optimizer's state has momentum, according to the names.
    pub momentum: bool,
}

/// A part of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `backbone`, or the first part of the names: `projector`, `fc`.
    pub name: String,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of trained values: weights, scales, shifts, prototypes.
    pub parameters: usize,
    /// Number of other values: running statistics, counters, queues.
    pub buffers: usize,
}

/// A loaded backbone.
#[derive(Debug)]
pub struct Import {
    /// The network.
    pub backbone: ResNet,
    /// Its configuration, recovered from the file.
    pub config: ResNetConfig,
    /// Which tensors were loaded and which were not.
    pub report: LoadReport,
}

impl Checkpoint {
    /// Summarizes the file. Reads no values.
    pub fn summary(&self) -> Summary {
        let prefix = self.backbone_prefix().ok().map(str::to_string);
        let mut parts: Vec<Part> = Vec::new();
        for tensor in self.tensors() {
            let name = part_of(&tensor.name, prefix.as_deref());
            let part = match parts.iter().position(|part| part.name == name) {
                Some(index) => &mut parts[index],
                None => {
                    parts.push(Part {
                        name,
                        tensors: 0,
                        parameters: 0,
                        buffers: 0,
                    });
                    parts.last_mut().expect("just pushed")
                }
            };
            part.tensors += 1;
            match tensor.is_parameter() {
                true => part.parameters += tensor.elements(),
                false => part.buffers += tensor.elements(),
            }
        }
        parts.sort_by_key(|part| (part.name != "backbone", part.name.clone()));
        Summary {
            format: self.format(),
            layout: self.layout(),
            architecture: infer_resnet_config(self).map_err(|error| match error {
                CheckpointError::NoResNet { reason, .. } => reason,
                error => error.to_string(),
            }),
            arch: self.arch().map(str::to_string),
            epoch: self.epoch(),
            parts,
            outside: self.outside().len(),
            momentum: self.has_momentum(),
        }
    }

    /// Creates the ResNet in the file and loads it. A small stem gets stride 1, see
    /// [`infer_resnet_config`]. If it had another stride, create the network yourself and call
    /// [`load_into`](Self::load_into).
    ///
    /// # Errors
    ///
    /// As [`infer_resnet_config`] and [`load_into`](Self::load_into).
    pub fn import_backbone(&self, device: &Device) -> Result<Import> {
        let config = infer_resnet_config(self)?;
        let mut backbone = config.init(device);
        let report = self.load_into(&mut backbone, self.backbone_prefix()?)?;
        Ok(Import {
            backbone,
            config,
            report,
        })
    }
}

/// Which part of the model a tensor belongs to.
fn part_of(name: &str, prefix: Option<&str>) -> String {
    const TRUNK: [&str; 6] = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"];
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_string();
    let Some(prefix) = prefix else {
        return first(name);
    };
    let inner = match prefix {
        "" => Some(name),
        prefix => name
            .strip_prefix(prefix)
            .and_then(|name| name.strip_prefix('.')),
    };
    match inner {
        Some(inner) if TRUNK.contains(&first(inner).as_str()) => "backbone".into(),
        Some(inner) if !prefix.is_empty() => format!("{prefix}.{}", first(inner)),
        _ => first(name),
    }
}

impl Summary {
    /// Parameters of all parts.
    pub fn parameters(&self) -> usize {
        self.parts.iter().map(|part| part.parameters).sum()
    }
}

impl fmt::Display for Summary {
    /// One line: `SwAV, ResNet-50, epoch 800 (torch.save, zip): 28354752 parameters`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layout)?;
        if let Ok(config) = &self.architecture {
            write!(f, ", {}", config.name())?;
        }
        if let Some(epoch) = self.epoch {
            write!(f, ", epoch {epoch}")?;
        }
        write!(f, " ({}): {} parameters", self.format, self.parameters())
    }
}

impl TensorInfo {
    /// Number of values.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}
