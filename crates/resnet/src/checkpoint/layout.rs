//! Recognizes a checkpoint's layout by its tensor names.

use std::collections::BTreeMap;
use std::fmt;

/// The layout of a checkpoint, recognized by its tensor names.
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
    /// Barlow Twins: `backbone`, `projector`, and a batch normalization `bn` beside them.
    BarlowTwins,
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
            Layout::BarlowTwins => "Barlow Twins",
            Layout::Backbone => "ResNet backbone",
            Layout::Prefixed => "ResNet under a prefix",
            Layout::Unknown => "unknown",
        })
    }
}

/// Layout, prefix of the ResNet with its dot, and another prefix that must exist. The first match
/// is used.
const KNOWN: [(Layout, &str, &str); 7] = [
    (Layout::Swav, "", "projection_head."),
    (Layout::BarlowTwins, "backbone.", "bn.running_mean"),
    (Layout::VicReg, "backbone.", "projector."),
    (Layout::SimSiam, "encoder.", "predictor."),
    (Layout::Moco, "encoder_q.", "encoder_k."),
    // MoCo's backbone is often published without the momentum encoder.
    (Layout::Moco, "encoder_q.", "encoder_q."),
    (Layout::Backbone, "", ""),
];

impl Layout {
    /// The layout of the ResNet under `backbone`, with its final dot, and the prefix of the whole
    /// method.
    pub(super) fn around<'a, T>(
        tensors: &BTreeMap<String, T>,
        backbone: &'a str,
    ) -> Option<(Self, &'a str)> {
        KNOWN.into_iter().find_map(|(layout, prefix, companion)| {
            let whole = backbone.strip_suffix(prefix)?;
            let fits = layout != Layout::Backbone
                && (whole.is_empty() || whole.ends_with('.'))
                && has(tensors, &format!("{whole}{companion}"));
            fits.then_some((layout, whole))
        })
    }

    /// The prefix of the ResNet, without final dot, if the tensors have this layout.
    pub(super) fn prefix_in<T>(self, tensors: &BTreeMap<String, T>) -> Option<String> {
        KNOWN
            .into_iter()
            .find(|&(layout, prefix, companion)| layout == self && fits(tensors, prefix, companion))
            .map(|(_, prefix, _)| prefix.trim_end_matches('.').to_string())
    }
}

fn fits<T>(tensors: &BTreeMap<String, T>, prefix: &str, companion: &str) -> bool {
    resnet_at(tensors, prefix) && has(tensors, companion)
}

pub(super) fn has<T>(tensors: &BTreeMap<String, T>, prefix: &str) -> bool {
    tensors
        .range(prefix.to_string()..)
        .next()
        .is_some_and(|(name, _)| name.starts_with(prefix))
}

/// Whether a ResNet's names begin with `prefix`, which is empty or ends with a dot.
pub(super) fn resnet_at<T>(tensors: &BTreeMap<String, T>, prefix: &str) -> bool {
    tensors.contains_key(&format!("{prefix}conv1.weight"))
        && has(tensors, &format!("{prefix}layer1.0."))
}
