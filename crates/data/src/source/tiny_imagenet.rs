use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use super::files::read_file;
use super::layout::ANNOTATIONS;
use super::list;
use super::{ImageFolder, ImageSource, ScanOptions};
use crate::{DataError, Result};

/// The list of 10,000 images takes half a megabyte.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Opens Tiny ImageNet as distributed. `train` has a folder for each class, with the images in its
/// folder `images`. `val` has all images in `images` and a list of their classes.
///
/// # Errors
///
/// If a folder or the list cannot be read, or the list names a class or an image that does not
/// exist.
pub(super) fn open(
    root: &Path,
    [train_folder, val_folder]: [&str; 2],
    train: &ScanOptions,
    val: &ScanOptions,
) -> Result<(ImageFolder, ImageFolder)> {
    let train = ImageFolder::open(&root.join(train_folder), train)?;
    let folder = root.join(val_folder);
    let list = folder.join(ANNOTATIONS);
    let bytes = read_file(&list, MAX_LIST_BYTES)?;
    let text = list::text(&bytes);
    let problem = |expected: &str, found: String| DataError::Format {
        path: list.clone(),
        expected: expected.into(),
        found,
    };
    let mut labels = HashMap::new();
    for (number, line) in list::lines(&text) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(class)) = (words.next(), words.next()) else {
            let found = format!("{line:?} in line {number}");
            return Err(problem("an image and its class in each line", found));
        };
        let label = train
            .classes()
            .binary_search_by(|other| other[..].cmp(class));
        let label = label.map_err(|_| {
            let found = format!("class {class} in line {number}");
            problem("the classes of the folder for training", found)
        })?;
        labels.insert(name, (label as u32, number, Cell::new(false)));
    }
    let all = ImageFolder::open_flat(&folder.join("images"), val)?;
    let label = |path: &str| {
        let (label, _, seen) = labels.get(path)?;
        seen.set(true);
        Some(*label)
    };
    let val = all.labeled(
        train.classes().to_vec(),
        label,
        "images without a class in the list",
    );
    let missing = labels.iter().filter(|(_, (_, _, seen))| !seen.get());
    if let Some((name, (_, number, _))) = missing.min_by_key(|(_, (_, number, _))| *number) {
        let found = format!("{name}, which does not exist, in line {number}");
        return Err(problem("names of images in the folder images", found));
    }
    Ok((train, val))
}
