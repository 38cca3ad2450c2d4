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
    /// Barlow Twins: `backbone`, `projector`, and a batch normalisation `bn` beside them.
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

/// Layout, prefix of the ResNet with its dot, and a prefix that must be there beside it. The first that fits is taken.
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
    /// Recognises the layout from names without wrappers; also gives the prefix of the ResNet, without final dot.
    pub(super) fn recognise<T>(tensors: &BTreeMap<String, T>) -> (Self, Option<String>) {
        let known = KNOWN
            .into_iter()
            .find(|&(_, prefix, companion)| fits(tensors, prefix, companion));
        if let Some((layout, prefix, _)) = known {
            return (layout, Some(prefix.trim_end_matches('.').to_string()));
        }
        let other = tensors
            .keys()
            .filter_map(|name| name.strip_suffix("conv1.weight"))
            .find(|prefix| prefix.ends_with('.') && resnet_at(tensors, prefix));
        match other {
            Some(prefix) => (
                Layout::Prefixed,
                Some(prefix.trim_end_matches('.').to_string()),
            ),
            None => (Layout::Unknown, None),
        }
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

fn has<T>(tensors: &BTreeMap<String, T>, prefix: &str) -> bool {
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

/// The tensors of a file, sorted into the model and what stands beside it.
pub(super) struct Unwrapped<T> {
    /// By name without wrappers.
    pub model: BTreeMap<String, T>,
    /// The model's names in the order that `place` gives, for those that have one.
    pub order: Vec<String>,
    /// By full name.
    pub outside: BTreeMap<String, T>,
}

/// Takes the wrappers off the names. `place` gives the place of a dictionary's key in the file.
pub(super) fn unwrap_names<T>(
    tensors: BTreeMap<String, T>,
    place: impl Fn(&str) -> Option<usize>,
) -> Unwrapped<T> {
    let outer = OUTER_KEYS
        .into_iter()
        .find(|outer| has(&tensors, outer))
        .unwrap_or("");
    let mut keyed = BTreeMap::new();
    let mut outside = BTreeMap::new();
    for (name, tensor) in tensors {
        match name.strip_prefix(outer) {
            Some(key) => keyed.insert(key.to_string(), tensor),
            None => outside.insert(name, tensor),
        };
    }
    let parallel = keyed.keys().all(|key| key.starts_with(DATA_PARALLEL));
    let stripped = |key: &str| match parallel {
        true => key[DATA_PARALLEL.len()..].to_string(),
        false => key.to_string(),
    };
    let mut placed: Vec<(usize, String)> = keyed
        .keys()
        .filter_map(|key| Some((place(key)?, stripped(key))))
        .collect();
    placed.sort_unstable();
    Unwrapped {
        order: placed.into_iter().map(|(_, name)| name).collect(),
        model: keyed
            .into_iter()
            .map(|(key, tensor)| (stripped(&key), tensor))
            .collect(),
        outside,
    }
}
