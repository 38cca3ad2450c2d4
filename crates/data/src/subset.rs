use rand::seq::SliceRandom;

use crate::DataError;
use crate::random::{Purpose, stream};

/// The indices of a class-balanced fraction of a labelled set, in ascending order.
///
/// Of each class that occurs, `fraction` of its images are drawn without replacement, rounded to the nearest number
/// and at least one: 1% of 10,000 images over 10 classes are 10 of each class. Each `seed` gives another draw; for
/// one seed a smaller fraction is part of a larger one, and the draw of a class does not depend on the other classes.
///
/// # Errors
/// If `fraction` is not above 0 and at most 1, or there are no labels.
pub fn class_balanced_subset(
    labels: &[u32],
    fraction: f64,
    seed: u64,
) -> Result<Vec<usize>, DataError> {
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(DataError::option(
            "label fraction",
            "a number above 0 and at most 1",
            fraction,
        ));
    }
    if labels.is_empty() {
        return Err(DataError::Empty {
            what: "the list of labels".into(),
        });
    }
    let mut classes = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let mut chosen = Vec::new();
    for (class, mut members) in classes {
        let count = ((members.len() as f64 * fraction).round() as usize).max(1);
        members.shuffle(&mut stream(Purpose::Subset, seed, u64::from(class), 0));
        chosen.extend_from_slice(&members[..count]);
    }
    chosen.sort_unstable();
    Ok(chosen)
}
