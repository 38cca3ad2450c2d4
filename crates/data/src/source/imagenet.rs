//! ImageNet (ILSVRC 2012): the folders `train` and `val`, each with a folder of images for each of
//! the classes (`n01440764` and so on), and lists of the labeled images.

use std::collections::HashMap;
use std::path::Path;

use super::files::read_file;
use super::list;
use super::{ImageFolder, ImageSource, ScanOptions};
use crate::{DataError, Result};

/// More than any list of names: ImageNet's 1.3 million names take 40 MB.
const MAX_LIST_BYTES: u64 = 1 << 30;

/// Opens the folders `train` and `val` in `root`. Each of the options `train` and `val` may have
/// its own cache.
///
/// # Errors
///
/// If one of the folders cannot be read or holds no images, or the classes of `val` are not those
/// of `train`. (As distributed, the validation images lie in one folder. Move them into a folder
/// for each class.)
pub fn open(
    root: &Path,
    train: &ScanOptions,
    val: &ScanOptions,
) -> Result<(ImageFolder, ImageFolder)> {
    open_parts(root, ["train", "val"], train, val)
}

/// [`open`] for folders with other names.
pub(super) fn open_parts(
    root: &Path,
    [train_folder, val_folder]: [&str; 2],
    train: &ScanOptions,
    val: &ScanOptions,
) -> Result<(ImageFolder, ImageFolder)> {
    let train = ImageFolder::open(&root.join(train_folder), train)?;
    let val = ImageFolder::open(&root.join(val_folder), val)?;
    if let Some(class) = val
        .classes()
        .iter()
        .find(|class| train.classes().binary_search(class).is_err())
        .or_else(|| {
            train
                .classes()
                .iter()
                .find(|class| val.classes().binary_search(class).is_err())
        })
    {
        return Err(DataError::Format {
            path: root.join(val_folder),
            expected: format!("the classes of the folder {train_folder}"),
            found: format!("class {class} in one of them only"),
        });
    }
    Ok((train, val))
}

/// The images that a text file names, in the file's order. Each line has one name, with or without
/// the class folder, as in the lists of 1% and 10% of the labels published with SimCLR
/// (`n01440764_10183.JPEG`). The name of the images' folder may come before it. A label may come
/// after it and is ignored: the folders define the classes. Empty lines and lines that start with
/// `#` are skipped, and `\` means `/`.
///
/// Use the result with [`Subset`](super::Subset). Without a list,
/// [`class_balanced_subset`](crate::class_balanced_subset) draws one.
///
/// # Errors
///
/// If the file cannot be read, is empty, or names an image that does not exist, exists under
/// several paths, or was named before.
pub fn listed(images: &dyn ImageSource, list: &Path) -> Result<Vec<usize>> {
    let names: Vec<String> = (0..images.len()).map(|i| images.image_name(i)).collect();
    listed_names(&names, images.name(), list)
}

/// [`listed`] for images known only by name, such as the images of extracted features. `place`
/// describes their source.
///
/// # Errors
///
/// As [`listed`].
pub fn listed_names(names: &[String], place: &str, list: &Path) -> Result<Vec<usize>> {
    let bytes = read_file(list, MAX_LIST_BYTES)?;
    let problem = |line: usize, found: String| DataError::Format {
        path: list.into(),
        expected: format!("in each line the name of one image in {place}"),
        found: format!("{found} in line {line}"),
    };
    let mut by_name = HashMap::new();
    for (index, path) in names.iter().enumerate() {
        let path = path.as_str();
        let file = path.rsplit('/').next().unwrap_or(path);
        by_name.entry(path).or_insert(Some(index));
        if file != path {
            by_name
                .entry(file)
                .and_modify(|several| *several = None)
                .or_insert(Some(index));
        }
    }
    let mut seen = vec![false; names.len()];
    let mut indices = Vec::new();
    let own = Path::new(place).file_name().unwrap_or_default();
    let own = format!("{}/", own.to_string_lossy());
    let text = list::text(&bytes);
    for (number, line) in list::lines(&text) {
        let found = list::names(line).find_map(|name| {
            let within = name.strip_prefix(&own);
            let found = by_name.get(&*name).or_else(|| by_name.get(within?));
            found.copied()
        });
        match found {
            None => return Err(problem(number, format!("{line}, which does not exist,"))),
            Some(None) => {
                return Err(problem(
                    number,
                    format!("{line}, which several folders have,"),
                ));
            }
            Some(Some(index)) if seen[index] => {
                return Err(problem(number, format!("{line} a second time")));
            }
            Some(Some(index)) => {
                seen[index] = true;
                indices.push(index);
            }
        }
    }
    if indices.is_empty() {
        return Err(DataError::Empty {
            what: format!("the list {}", list.display()),
        });
    }
    Ok(indices)
}
