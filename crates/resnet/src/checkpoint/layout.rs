//! Recognising who wrote a checkpoint from its tensor names.

use std::collections::BTreeMap;
use std::fmt;

/// Outer dictionaries in which training scripts put the model, most specific first.
const OUTER_KEYS: [&str; 3] = ["state_dict.", "model_state_dict.", "model."];

/// What `torch.nn.DataParallel` puts before every name.
const DATA_PARALLEL: &str = "module.";

/// Who wrote a checkpoint, as far as the tensor names show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// SwAV: the backbone at the root, beside `projection_head` and `prototypes`.
    Swav,
    /// VICReg's full checkpoint: `backbone` and `projector`.
    VicReg,
    /// SimSiam: `encoder` (whose `fc` is the projector) and `predictor`.
    SimSiam,
    /// MoCo: `encoder_q`, `encoder_k` and the queue.
    Moco,
    /// A bare ResNet at the root, with or without `fc`: torchvision, timm, VICReg's `resnet50.pth`.
    Backbone,
    /// A ResNet under some other prefix.
    Prefixed,
    /// No ResNet under torchvision's names.
    Unknown,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Swav => "SwAV",
            Layout::VicReg => "VICReg",
            Layout::SimSiam => "SimSiam",
            Layout::Moco => "MoCo",
            Layout::Backbone => "ResNet backbone",
            Layout::Prefixed => "ResNet under a prefix",
            Layout::Unknown => "unknown",
        })
    }
}

impl Layout {
    /// Recognises the layout from names without wrappers; also gives the prefix of the ResNet, without final dot.
    pub(super) fn recognise<T>(tensors: &BTreeMap<String, T>) -> (Self, Option<String>) {
        let has = |prefix: &str| {
            tensors
                .range(prefix.to_string()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(prefix))
        };
        let resnet_at = |prefix: &str| {
            tensors.contains_key(&format!("{prefix}conv1.weight"))
                && has(&format!("{prefix}layer1.0."))
        };

        let known = [
            (Layout::Swav, "", "projection_head."),
            (Layout::VicReg, "backbone.", "projector."),
            (Layout::SimSiam, "encoder.", "predictor."),
            (Layout::Moco, "encoder_q.", "encoder_k."),
            // MoCo's backbone is often published without the momentum encoder.
            (Layout::Moco, "encoder_q.", "encoder_q."),
            (Layout::Backbone, "", ""),
        ];
        for (layout, prefix, companion) in known {
            if resnet_at(prefix) && has(companion) {
                return (layout, Some(prefix.trim_end_matches('.').to_string()));
            }
        }
        let other = tensors
            .keys()
            .filter_map(|name| name.strip_suffix("conv1.weight"))
            .find(|prefix| prefix.ends_with('.') && resnet_at(prefix));
        match other {
            Some(prefix) => (
                Layout::Prefixed,
                Some(prefix.trim_end_matches('.').to_string()),
            ),
            None => (Layout::Unknown, None),
        }
    }
}

/// Takes the wrappers off the names: returns the model's tensors, and the names of those outside the model.
pub(super) fn unwrap_names<T>(tensors: BTreeMap<String, T>) -> (BTreeMap<String, T>, Vec<String>) {
    let outer = OUTER_KEYS
        .into_iter()
        .find(|outer| tensors.keys().any(|name| name.starts_with(outer)))
        .unwrap_or("");
    let mut model = BTreeMap::new();
    let mut outside = Vec::new();
    for (name, tensor) in tensors {
        match name.strip_prefix(outer) {
            Some(name) => {
                model.insert(name.to_string(), tensor);
            }
            None => outside.push(name),
        }
    }
    if model.keys().all(|name| name.starts_with(DATA_PARALLEL)) {
        model = model
            .into_iter()
            .map(|(name, tensor)| (name[DATA_PARALLEL.len()..].to_string(), tensor))
            .collect();
    }
    (model, outside)
}
