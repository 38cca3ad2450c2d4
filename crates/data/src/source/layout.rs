use std::fs;
use std::path::{Path, PathBuf};

use super::file_kind::{FileKind, LeftOut, count, files_beneath, leftover, merge};
use crate::error::check_data_folder;
use crate::{DataError, Result};

/// Names of the part for training, in any case.
const TRAIN: [&str; 2] = ["train", "training"];
/// Names of the part for the test, in any case. If there are several, the first is used.
const TEST: [&str; 7] = [
    "val",
    "valid",
    "validation",
    "eval",
    "evaluation",
    "test",
    "testing",
];
/// Names in [`TEST`] of parts that competitions often publish without labels.
const OFTEN_UNLABELED: [&str; 2] = ["test", "testing"];
/// The list of labels in Tiny ImageNet's second part.
pub(super) const ANNOTATIONS: &str = "val_annotations.txt";
/// iNaturalist 2018's lists of the images for training and for the test.
pub(super) const INATURALIST: [&str; 2] = ["train2018.json", "val2018.json"];
/// Folders of torchvision's downloaded data sets.
const TORCHVISION: [&str; 8] = [
    "raw",
    "FashionMNIST/raw",
    "MNIST/raw",
    "KMNIST/raw",
    "cifar-10-batches-bin",
    "cifar-100-binary",
    "cifar-10-batches-py",
    "cifar-100-python",
];
/// Maximum depth of folders that hold only one folder.
const DEPTH: usize = 4;

/// The layout of a folder of images, recognized by the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FolderLayout {
    /// Four IDX files, as in Fashion-MNIST.
    Idx,
    /// CIFAR-10's binary files.
    Cifar10,
    /// CIFAR-100's binary files.
    Cifar100,
    /// iNaturalist 2018: `train2018.json` and `val2018.json` list the images.
    INaturalist2018,
    /// Tiny ImageNet's own layout: a folder for each class in `train`, one folder of images and
    /// their list in `val`.
    TinyImageNet {
        /// The name of the folder for training.
        train: String,
        /// The name of the folder for the test.
        val: String,
    },
    /// Two folders, each with a folder for each class.
    Parts {
        /// The name of the folder for training, such as `train`.
        train: String,
        /// The name of the folder for the test, such as `val`, `valid` or `test`.
        test: String,
    },
    /// A folder of images for each class.
    Classes,
    /// Images without labels.
    Flat,
}

impl FolderLayout {
    /// The layout of `folder` itself; [`Flat`](Self::Flat) if it holds images or no folders.
    /// Leftovers of tools are ignored. [`DataFolder::find`] also looks into its folders.
    ///
    /// # Errors
    ///
    /// If `folder` cannot be read, or its folders do not show which one is for training:
    /// [`DataError::Layout`] names them.
    pub fn of(folder: &Path) -> Result<Self> {
        check_data_folder(folder)?;
        Entries::of(folder)?.layout(folder)
    }
}

/// The location and layout of a data folder's images.
#[derive(Debug)]
pub struct DataFolder {
    /// The folder given, or one beneath it.
    pub root: PathBuf,
    /// The layout of `root`.
    pub layout: FolderLayout,
    /// The folders beside the images that are not used.
    pub unused: Vec<DataError>,
    /// The files above the parts and class folders that are left out, by kind.
    pub left_out: LeftOut,
}

impl DataFolder {
    /// Finds the images in `folder`. If it holds only a folder `train`, the folders in `train` are
    /// the classes. A data set is also found in a folder that only wraps it, and where torchvision
    /// stores it (`FashionMNIST/raw`).
    ///
    /// # Errors
    ///
    /// As [`FolderLayout::of`], and if there are several data sets, or one in an unsupported
    /// format.
    pub fn find(folder: &Path) -> Result<Self> {
        check_data_folder(folder)?;
        find(folder, DEPTH)
    }

    fn new(root: PathBuf, layout: FolderLayout) -> Self {
        Self {
            root,
            layout,
            unused: Vec::new(),
            left_out: LeftOut::new(),
        }
    }

    /// Adds the entries `above` of the folder above.
    fn beneath(mut self, above: &Entries) -> Self {
        merge(&mut self.left_out, &above.left_out());
        self
    }
}

fn find(root: &Path, depth: usize) -> Result<DataFolder> {
    let entries = Entries::of(root)?;
    let layout = entries.layout(root)?;
    match layout {
        FolderLayout::Parts { train, test } => parts(root, &entries, train, test),
        FolderLayout::TinyImageNet { ref train, ref val } => {
            let unused = entries.unused(root, [train, val]);
            let found = DataFolder::new(root.into(), layout);
            Ok(DataFolder { unused, ..found }.beneath(&entries))
        }
        FolderLayout::Classes => {
            let known = torchvision(root)?;
            match (&known[..], &entries.folders[..]) {
                ([known], _) => {
                    return Ok(find(&root.join(known), 0)?.beneath(&entries));
                }
                ([], [only]) if depth > 0 && (!entries.images || is(only, &TRAIN)) => {
                    if let Some(found) = within(&root.join(only), only, depth)? {
                        return Ok(found.beneath(&entries));
                    }
                }
                ([], _) => {}
                (several, _) => {
                    return Err(DataError::Layout {
                        path: root.into(),
                        problem: format!("holds several data sets: {}", several.join(", ")),
                        way_out: "give the folder of one of them",
                    });
                }
            }
            Ok(DataFolder::new(root.into(), layout))
        }
        _ => Ok(DataFolder::new(root.into(), layout)),
    }
}

/// The data in a folder's only subfolder, unless that is a class.
fn within(inner: &Path, name: &str, depth: usize) -> Result<Option<DataFolder>> {
    let found = find(inner, depth - 1)?;
    let data_set = !matches!(found.layout, FolderLayout::Classes | FolderLayout::Flat);
    let is_part = is(name, &TRAIN) || is(name, &TEST);
    Ok((is_part || data_set || found.root != inner).then_some(found))
}

/// Two parts, or only the training part if one of them has no labels.
fn parts(root: &Path, entries: &Entries, train: String, test: String) -> Result<DataFolder> {
    let mut unused = entries.unused(root, [&train, &test]);
    let train_labeled = holds_folders(&root.join(&train))?;
    let test_labeled = holds_folders(&root.join(&test))?;
    let found = if !train_labeled {
        unused.push(DataError::Unused {
            path: root.join(&test),
            reason: "the images for training have no labels, so nothing is tested",
        });
        DataFolder::new(root.join(train), FolderLayout::Flat)
    } else if !test_labeled && is(&test, &OFTEN_UNLABELED) {
        unused.push(DataError::Unused {
            path: root.join(&test),
            reason: "it has no folder for each class; a part of the training images is the test",
        });
        DataFolder::new(root.join(train), FolderLayout::Classes)
    } else {
        DataFolder::new(root.into(), FolderLayout::Parts { train, test })
    };
    Ok(DataFolder { unused, ..found }.beneath(entries))
}

/// The names in a folder.
#[derive(Default)]
struct Entries {
    /// The folders in order, without leftovers of tools.
    folders: Vec<String>,
    images: bool,
    files: Option<FolderLayout>,
    /// CIFAR's files for Python.
    pickled: bool,
    /// The files and the leftovers, by kind.
    others: LeftOut,
    /// Left-out folders, whose files are counted on demand.
    left_folders: Vec<(PathBuf, &'static str)>,
}

impl Entries {
    fn of(folder: &Path) -> Result<Self> {
        let read_error = |cause| DataError::Read {
            path: folder.into(),
            cause,
        };
        let mut entries = Self::default();
        for entry in fs::read_dir(folder).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(read_error)?;
            // Links to folders count. Only links are resolved: there may be a million files.
            if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                match leftover(&name) {
                    None => entries.folders.push(name),
                    Some(leftover) if kind.is_dir() => {
                        entries.left_folders.push((entry.path(), leftover));
                    }
                    Some(_) => {}
                }
            } else {
                entries.add_file(&name);
            }
        }
        entries.folders.sort_unstable();
        Ok(entries)
    }

    fn add_file(&mut self, name: &str) {
        let kind = match FileKind::of(name) {
            FileKind::Image => {
                self.images = true;
                "images outside of the parts"
            }
            FileKind::LeftOut(kind) => kind,
        };
        count(&mut self.others, kind, 1);
        let layout = if is_idx(name) {
            FolderLayout::Idx
        } else if name.ends_with(".bin") && name.starts_with("data_batch_")
            || matches!(name, "test_batch.bin" | "batches.meta.txt")
        {
            FolderLayout::Cifar10
        } else if matches!(name, "train.bin" | "test.bin" | "fine_label_names.txt") {
            FolderLayout::Cifar100
        } else if INATURALIST.contains(&name) {
            FolderLayout::INaturalist2018
        } else {
            self.pickled |= matches!(
                name,
                "data_batch_1" | "test_batch" | "batches.meta" | "meta"
            );
            return;
        };
        self.files.get_or_insert(layout);
    }

    fn left_out(&self) -> LeftOut {
        let mut left_out = self.others.clone();
        for (folder, kind) in &self.left_folders {
            count(&mut left_out, kind, files_beneath(folder));
        }
        left_out
    }

    /// The folders with one of `names`, in the order of `names`.
    fn part(&self, names: &[&str]) -> Vec<String> {
        names
            .iter()
            .flat_map(|name| self.folders.iter().filter(|folder| is(folder, &[*name])))
            .cloned()
            .collect()
    }

    /// Reports all folders except `used` as unused.
    fn unused(&self, root: &Path, used: [&String; 2]) -> Vec<DataError> {
        let folders = self.folders.iter().filter(|folder| !used.contains(folder));
        folders
            .map(|folder| DataError::Unused {
                path: root.join(folder),
                reason: "other folders are for training and for the test",
            })
            .collect()
    }

    fn layout(&self, root: &Path) -> Result<FolderLayout> {
        if let Some(files) = &self.files {
            return Ok(files.clone());
        }
        if self.pickled && self.folders.is_empty() && !self.images {
            return Err(pickled(root));
        }
        let reject = |problem: String, way_out| {
            Err(DataError::Layout {
                path: root.into(),
                problem,
                way_out,
            })
        };
        let (trains, tests) = (self.part(&TRAIN), self.part(&TEST));
        let others: Vec<&str> = (self.folders.iter())
            .filter(|folder| !trains.contains(folder) && !tests.contains(folder))
            .map(String::as_str)
            .collect();
        match &trains[..] {
            [train] if !tests.is_empty() => second_part(root, train, &tests),
            [train] if others.is_empty() && holds_folders(&root.join(train))? => {
                Ok(FolderLayout::Classes)
            }
            [train] if !others.is_empty() && holds_folders(&root.join(train))? => reject(
                format!(
                    "holds {train} and {}, which is not the name of a part",
                    others.join(", ")
                ),
                "name the second part val or test, or give the folder of the classes",
            ),
            [_, _, ..] => reject(
                format!("holds several folders for training: {}", trains.join(", ")),
                "leave one of them there",
            ),
            [] if !tests.is_empty() && self.folders.len() > 1 => {
                let is_part = others.is_empty() || any_holds_folders(root, &tests)?;
                if is_part {
                    return reject(
                        format!(
                            "holds {}, but no folder for training",
                            self.folders.join(", ")
                        ),
                        "name that one train, or give the folder of the classes",
                    );
                }
                Ok(self.classes_or_flat())
            }
            _ => Ok(self.classes_or_flat()),
        }
    }

    fn classes_or_flat(&self) -> FolderLayout {
        if self.images || self.folders.is_empty() {
            FolderLayout::Flat
        } else {
            FolderLayout::Classes
        }
    }
}

/// Chooses the test folder among `tests`: the one with Tiny ImageNet's list, else the first with
/// labels, else the first.
fn second_part(root: &Path, train: &str, tests: &[String]) -> Result<FolderLayout> {
    let train = train.to_owned();
    let listed = |test: &&String| {
        let folder = root.join(test);
        folder.join(ANNOTATIONS).is_file() && folder.join("images").is_dir()
    };
    if let Some(val) = tests.iter().find(listed) {
        let val = val.clone();
        return Ok(FolderLayout::TinyImageNet { train, val });
    }
    let mut test = tests[0].clone();
    for other in tests {
        if holds_folders(&root.join(other))? {
            test.clone_from(other);
            break;
        }
    }
    Ok(FolderLayout::Parts { train, test })
}

/// The torchvision folders in `root`.
fn torchvision(root: &Path) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for name in TORCHVISION {
        let folder = root.join(name);
        if folder.is_dir() {
            let entries = Entries::of(&folder)?;
            if entries.files.is_some() || entries.pickled {
                found.push(name);
            }
        }
    }
    Ok(found)
}

fn pickled(root: &Path) -> DataError {
    DataError::Layout {
        path: root.into(),
        problem: "holds CIFAR's files for Python, which are not supported".into(),
        way_out: "download the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz)",
    }
}

fn any_holds_folders(root: &Path, names: &[String]) -> Result<bool> {
    for name in names {
        if holds_folders(&root.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds_folders(folder: &Path) -> Result<bool> {
    Ok(!Entries::of(folder)?.folders.is_empty())
}

/// Whether a file is an IDX file, such as `train-images-idx3-ubyte` or `t10k-labels.idx1-ubyte`,
/// with or without `.gz`.
fn is_idx(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    ["images-idx3", "images.idx3", "labels-idx1", "labels.idx1"]
        .iter()
        .any(|kind| {
            name.strip_suffix("-ubyte")
                .is_some_and(|name| name.ends_with(kind))
        })
}

fn is(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}
