//! Separates the model from a file's other tensors: wrappers, several networks, additional content.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{Layout, has, resnet_at};

/// Parts that module wrappers insert anywhere into a name.
const TRANSPARENT: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_forward_module",
];
/// Outer dictionaries in which training scripts store the model, most specific first.
const OUTER_KEYS: [&str; 5] = [
    "state_dict.",
    "model_state_dict.",
    "model.",
    "net.",
    "network.",
];
/// Attributes and keys that may hold a whole network.
const WRAPPERS: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "backbone",
    "encoder",
    "resnet",
    "trunk",
    "feature_extractor",
    "weights",
    "params",
];
/// Words in the names of networks that are averages of another network and not trained.
const COPIES: [&str; 9] = [
    "teacher", "target", "ema", "momentum", "swa", "averaged", "shadow", "k", "key",
];
/// Counters that averaging wrappers store beside the network.
const COUNTERS: [&str; 3] = ["n_averaged", "num_updates", "decay"];
/// The children of a ResNet in an `nn.Sequential`; the others have no parameters.
const CHILDREN: [(&str, &str); 6] = [
    ("0", "conv1"),
    ("1", "bn1"),
    ("4", "layer1"),
    ("5", "layer2"),
    ("6", "layer3"),
    ("7", "layer4"),
];

/// The tensors of a file, sorted into the model and the others.
pub(super) struct Arranged<T> {
    /// By name without wrappers.
    pub model: BTreeMap<String, T>,
    /// The model's names in the file's order.
    pub order: Vec<String>,
    /// By the name in the file.
    pub outside: BTreeMap<String, T>,
    pub layout: Layout,
    /// Prefix of the ResNet's names in the model, without final dot.
    pub backbone: Option<String>,
    /// Prefix of the model's names in the file, without final dot.
    pub taken: String,
    /// The prefixes of other ResNets, without final dot.
    pub others: Vec<String>,
    /// Whether the network's parts are numbered in the file, as `nn.Sequential` does.
    pub numbered: bool,
}

/// A ResNet.
struct Root {
    /// Prefix with final dot, without transparent parts.
    prefix: String,
    /// Prefix in the file, without final dot.
    shown: String,
    layout: Layout,
    /// The prefix of the method, with final dot.
    whole: String,
}

/// Sorts the tensors. The model is under `prefix`, if given; `None` if no name begins with it.
pub(super) fn arrange<T>(tensors: Vec<(String, T)>, prefix: Option<&str>) -> Option<Arranged<T>> {
    let transparent = transparency(&tensors);
    let within = dotted(&transparent(prefix.unwrap_or_default()));
    let mut outside = BTreeMap::new();
    // Name within the prefix, to name in the file and value.
    let mut inside: BTreeMap<String, (String, T)> = BTreeMap::new();
    let mut order = Vec::new();
    for (name, value) in tensors {
        match transparent(&name).strip_prefix(&within) {
            Some(key) if !inside.contains_key(key) => {
                order.push(key.to_string());
                inside.insert(key.to_string(), (name, value));
            }
            _ => drop(outside.insert(name, value)),
        }
    }
    if inside.is_empty() {
        return None;
    }
    let numbered = name_children(&mut inside, &mut order);
    let mut roots = roots(&inside, &order);
    let chosen = (0..roots.len()).min_by_key(|&index| rank(&roots[index], index));
    let (layout, whole, backbone, shown) = match chosen.map(|index| roots.remove(index)) {
        Some(root) => {
            let backbone = root.prefix[root.whole.len()..].trim_end_matches('.');
            let tail = format!(".{backbone}");
            let shown = match root.shown.strip_suffix(&tail) {
                Some(shown) => shown.to_string(),
                None if backbone == root.shown => String::new(),
                None => match backbone.is_empty() {
                    true => root.shown.clone(),
                    false => format!("{within}{}", root.whole)
                        .trim_end_matches('.')
                        .to_string(),
                },
            };
            (
                root.layout,
                root.whole.clone(),
                Some(backbone.to_string()),
                shown,
            )
        }
        None => {
            let outer = OUTER_KEYS.into_iter().find(|outer| has(&inside, outer));
            let outer = outer.unwrap_or_default();
            let shown = format!("{within}{outer}").trim_end_matches('.').to_string();
            (Layout::Unknown, outer.to_string(), None, shown)
        }
    };
    // MoCo's momentum encoder belongs to the method.
    let other = |name: &str| {
        layout != Layout::Moco && roots.iter().any(|root| name.starts_with(&root.prefix))
    };
    let belongs =
        |name: &str| name.starts_with(&whole) && !other(name) && !COUNTERS.contains(&name);
    let order = order
        .into_iter()
        .filter(|name| belongs(name))
        .map(|name| name[whole.len()..].to_string())
        .collect();
    let mut model = BTreeMap::new();
    for (name, (full, value)) in inside {
        match belongs(&name) {
            true => model.insert(name[whole.len()..].to_string(), value),
            false => outside.insert(full, value),
        };
    }
    Some(Arranged {
        model,
        order,
        outside,
        layout,
        backbone,
        taken: shown,
        others: roots.into_iter().map(|root| root.shown).collect(),
        numbered,
    })
}

/// Removes the transparent parts of a name, unless two names of the file would become equal.
fn transparency<T>(tensors: &[(String, T)]) -> impl Fn(&str) -> String + use<T> {
    let strip = |name: &str| {
        let parts: Vec<&str> = name
            .split('.')
            .filter(|part| !TRANSPARENT.contains(part))
            .collect();
        parts.join(".")
    };
    let names: BTreeSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let stripped: BTreeSet<String> = names.iter().map(|name| strip(name)).collect();
    let safe = stripped.len() == names.len();
    move |name: &str| match safe {
        true => strip(name),
        false => name.to_string(),
    }
}

fn dotted(prefix: &str) -> String {
    match prefix.trim_end_matches('.') {
        "" => String::new(),
        prefix => format!("{prefix}."),
    }
}

/// Gives the numbered children of ResNets their names. Returns whether there were any.
fn name_children<T>(tensors: &mut BTreeMap<String, T>, order: &mut [String]) -> bool {
    let is_there = |prefix: &str, rest: &str| tensors.contains_key(&format!("{prefix}{rest}"));
    let prefixes: Vec<String> = tensors
        .keys()
        .filter_map(|name| name.strip_suffix("4.0.conv1.weight"))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .filter(|prefix| {
            ["0.weight", "1.weight", "1.running_mean", "7.0.conv1.weight"]
                .into_iter()
                .all(|rest| is_there(prefix, rest))
        })
        .map(str::to_string)
        .collect();
    for prefix in &prefixes {
        for name in order.iter_mut() {
            let Some((child, rest)) = name
                .strip_prefix(prefix.as_str())
                .and_then(|key| key.split_once('.'))
            else {
                continue;
            };
            let Some(&(_, known)) = CHILDREN.iter().find(|(number, _)| *number == child) else {
                continue;
            };
            let renamed = format!("{prefix}{known}.{rest}");
            if tensors.contains_key(&renamed) {
                continue;
            }
            if let Some(value) = tensors.remove(name) {
                tensors.insert(renamed.clone(), value);
                *name = renamed;
            }
        }
    }
    !prefixes.is_empty()
}

/// All ResNets, in the file's order.
fn roots<T>(tensors: &BTreeMap<String, (String, T)>, order: &[String]) -> Vec<Root> {
    let prefixes: Vec<&str> = order
        .iter()
        .filter_map(|name| name.strip_suffix("conv1.weight"))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .filter(|prefix| resnet_at(tensors, prefix))
        .collect();
    let several = prefixes.len() > 1;
    prefixes
        .iter()
        .map(|&prefix| {
            let (layout, whole) =
                Layout::around(tensors, prefix).unwrap_or_else(|| bare(prefix, several));
            let full = &tensors[&format!("{prefix}conv1.weight")].0;
            let shown = full
                .strip_suffix("conv1.weight")
                .or_else(|| full.strip_suffix("0.weight"))
                .unwrap_or(full);
            Root {
                prefix: prefix.to_string(),
                shown: shown.trim_end_matches('.').to_string(),
                layout,
                whole: whole.to_string(),
            }
        })
        .collect()
}

/// The layout of a ResNet without the heads of a known method, and the prefix of its model.
fn bare(prefix: &str, several: bool) -> (Layout, &str) {
    let parts = || prefix.split_terminator('.');
    let wraps = |part: &str| WRAPPERS.contains(&part) || part.bytes().all(|b| b.is_ascii_digit());
    if several || parts().all(wraps) {
        return (Layout::Backbone, prefix);
    }
    let len = parts()
        .take_while(|part| wraps(part))
        .map(|part| part.len() + 1)
        .sum();
    (Layout::Prefixed, &prefix[..len])
}

/// The root with the lowest rank is used. Preferred are: no copy, a whole method, the most specific
/// outer dictionary, the first in the file.
fn rank(root: &Root, index: usize) -> (bool, u8, usize, usize) {
    let copy = root
        .shown
        .split(['.', '_', '-'])
        .any(|word| COPIES.contains(&word));
    // MoCo's two encoders have the same method around them.
    let kind = match root.layout {
        Layout::Backbone => 1,
        Layout::Prefixed => 2,
        _ => 0,
    };
    let outer = OUTER_KEYS
        .iter()
        .position(|outer| root.prefix.starts_with(outer));
    (copy, kind, outer.unwrap_or(OUTER_KEYS.len()), index)
}
