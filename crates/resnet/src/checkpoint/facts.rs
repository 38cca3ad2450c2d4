//! Information in the dictionary around the weights.

use super::contents::{Facts, ParameterGroups, StemShape};
use super::error::one_line;
use super::pickle::{Item, Pickle};
use super::safetensors::STEM;

/// Keys under which scripts store the optimizer's state.
const OPTIMIZERS: [&str; 4] = ["optimizer", "optimizer_state_dict", "optim", "opt"];

/// Reads the information in the dictionary around the weights.
pub(super) fn facts(pickle: &Pickle) -> Facts {
    let root = pickle.root;
    let arch = pickle
        .get(root, "arch")
        .and_then(|arch| pickle.text(arch))
        .map(one_line);
    let optimizer = OPTIMIZERS
        .iter()
        .find_map(|key| Some((key.to_string(), pickle.get(root, key)?)))
        .or_else(|| {
            // Lightning has a list of optimizers.
            let states = pickle.get(root, "optimizer_states")?;
            let first = pickle.sequence(states)?.first()?;
            Some(("optimizer_states.0".to_string(), *first))
        });
    Facts {
        epoch: pickle
            .get(root, "epoch")
            .and_then(|epoch| pickle.whole(epoch)),
        arch,
        has_optimizer: optimizer.is_some(),
        groups: optimizer.and_then(|(key, optimizer)| {
            Some(ParameterGroups {
                key,
                parameters: parameter_numbers(pickle, optimizer)?,
            })
        }),
        stem: pickle
            .get(root, STEM)
            .and_then(|stem| stem_shape(pickle, stem)),
    }
}

/// A dictionary of `kernel`, `stride` and `padding`, which a script may save beside the weights.
fn stem_shape(pickle: &Pickle, stem: Item) -> Option<StemShape> {
    let size = |key| {
        let size = pickle.whole(pickle.get(stem, key)?)?;
        usize::try_from(size).ok()
    };
    Some(StemShape {
        kernel: size("kernel")?,
        stride: size("stride")?,
        padding: size("padding")?,
    })
}

/// The numbers of the optimizer's parameters in their original order: group after group.
fn parameter_numbers(pickle: &Pickle, optimizer: Item) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    for &group in pickle.sequence(pickle.get(optimizer, "param_groups")?)? {
        for &number in pickle.sequence(pickle.get(group, "params")?)? {
            numbers.push(pickle.whole(number)?);
        }
    }
    Some(numbers)
}
