use std::collections::BTreeMap;

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};
use crate::{DataError, Result};

/// The indices of a class-balanced fraction of a labeled set, in ascending order.
///
/// Draws `fraction` of the images of each class that occurs, without replacement: the nearest whole
/// number, at least 1. So 1% of 10,000 images over 10 classes are 10 of each class. Each `seed`
/// gives another draw. For one seed, the draw of a smaller fraction is contained in that of a
/// larger one, and the draw of a class does not depend on the other classes.
///
/// # Errors
///
/// If `fraction` is not above 0 and at most 1, or there are no labels.
pub fn class_balanced_subset(labels: &[u32], fraction: f64, seed: u64) -> Result<Vec<usize>> {
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(DataError::option(
            "label fraction",
            "a number above 0 and at most 1",
            fraction,
        ));
    }
    let share = |_, members: usize| Ok(((members as f64 * fraction).round() as usize).max(1));
    draw(labels, seed, share)
}

/// The indices of `per_class` images of each class that occurs, in ascending order.
///
/// They are drawn without replacement. For one seed, a smaller draw is contained in a larger one,
/// also in a draw of [`class_balanced_subset`]. `classes` are the names of the classes, which the
/// labels index.
///
/// # Errors
///
/// If `per_class` is 0, there are no labels, or a class has fewer images:
/// [`DataError::ClassTooSmall`] names it.
pub fn class_balanced_count(
    labels: &[u32],
    classes: &[String],
    per_class: usize,
    seed: u64,
) -> Result<Vec<usize>> {
    if per_class == 0 {
        return Err(DataError::option(
            "images per class",
            "at least 1",
            per_class,
        ));
    }
    draw(labels, seed, |class, members| {
        if members < per_class {
            let class = classes.get(class as usize);
            return Err(DataError::ClassTooSmall {
                class: class.cloned().unwrap_or_else(|| "without a name".into()),
                available: members,
                asked: per_class,
            });
        }
        Ok(per_class)
    })
}

/// Draws `count(class, its number of images)` images of each class.
fn draw(
    labels: &[u32],
    seed: u64,
    count: impl Fn(u32, usize) -> Result<usize>,
) -> Result<Vec<usize>> {
    if labels.is_empty() {
        return Err(DataError::Empty {
            what: "the list of labels".into(),
        });
    }
    let mut classes = BTreeMap::<u32, Vec<usize>>::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let mut chosen = Vec::new();
    for (class, mut members) in classes {
        let count = count(class, members.len())?;
        members.shuffle(&mut stream(Purpose::Subset, seed, u64::from(class), 0));
        chosen.extend_from_slice(&members[..count]);
    }
    chosen.sort_unstable();
    Ok(chosen)
}
