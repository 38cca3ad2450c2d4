use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{ImageFolder, ImageSource, ScanOptions, Subset, imagenet};
use crate::error::check_data_folder;
use crate::{DataError, class_balanced_subset, fashion_mnist};

/// The share of a folder of classes that is kept for the test where the folder has no part for it.
const TEST_SHARE: f64 = 0.2;

/// How a folder holds its images, seen from the names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderLayout {
    /// Fashion-MNIST's IDX files.
    FashionMnist,
    /// A folder `train` and one of this name, `val` or `test`, each with a folder for each class.
    TrainAnd(&'static str),
    /// A folder of images for each class.
    Classes,
    /// Images without labels.
    Flat,
}

impl FolderLayout {
    /// What `folder` looks like; [`Flat`](Self::Flat) if images lie in it or it has no folders.
    ///
    /// # Errors
    /// If `folder` cannot be read.
    pub fn of(folder: &Path) -> Result<Self, DataError> {
        check_data_folder(folder)?;
        let read_error = |source| DataError::Read {
            path: folder.into(),
            source,
        };
        let (mut folders, mut images) = (Vec::new(), false);
        for entry in fs::read_dir(folder).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("-images-idx3-ubyte") {
                return Ok(Self::FashionMnist);
            }
            let kind = entry.file_type().map_err(read_error)?;
            // Links to folders count. Only links are looked at: there may be a million files.
            if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                folders.push(name);
            } else {
                images |= super::scan::is_image(&name);
            }
        }
        let has = |name: &str| folders.iter().any(|folder| folder == name);
        let test = ["val", "test"].into_iter().find(|test| has(test));
        Ok(match test {
            Some(test) if has("train") => Self::TrainAnd(test),
            _ if images || folders.is_empty() => Self::Flat,
            _ => Self::Classes,
        })
    }
}

/// Images to train on, and others to judge by.
pub struct DataSet {
    /// The images to train on.
    pub train: Arc<dyn ImageSource>,
    /// Labelled images of the same classes to test on; none if the images have no labels.
    pub test: Option<Arc<dyn ImageSource>>,
    /// What was left out or looks wrong, and can be gone without. To be shown to the user.
    pub problems: Vec<DataError>,
}

impl DataSet {
    /// The embedded subset of Fashion-MNIST: 10,000 images to train on, 10,000 to test on.
    pub fn embedded() -> Self {
        Self {
            train: Arc::new(fashion_mnist::embedded_train()),
            test: Some(Arc::new(fashion_mnist::embedded_test())),
            problems: Vec::new(),
        }
    }

    /// What `folder` holds, whichever its [`FolderLayout`] is. Of a folder of classes without a part for the test, a
    /// class-balanced fifth is kept for it, always the same one. `options` says how each part, `train`, `val`, `test` or
    /// `all`, is searched.
    ///
    /// # Errors
    /// If the folder cannot be read or holds no images, or its parts do not have the same classes, or a cache cannot be
    /// written.
    pub fn open(
        folder: &Path,
        options: impl Fn(&'static str) -> ScanOptions,
    ) -> Result<Self, DataError> {
        match FolderLayout::of(folder)? {
            FolderLayout::FashionMnist => {
                let (train, test) = fashion_mnist::load_idx(folder)?;
                Ok(Self::new(train, Some(Arc::new(test)), Vec::new()))
            }
            FolderLayout::TrainAnd(test) => {
                let (mut train, mut test) =
                    imagenet::open_parts(folder, test, &options("train"), &options(test))?;
                let mut problems = train.take_problems();
                problems.extend(test.take_problems());
                Ok(Self::new(train, Some(Arc::new(test)), problems))
            }
            FolderLayout::Classes => {
                let mut all = ImageFolder::open(folder, &options("all"))?;
                let problems = all.take_problems();
                let labels = all.labels().unwrap_or_default();
                let test = class_balanced_subset(labels, TEST_SHARE, 0)?;
                let train = (0..all.len())
                    .filter(|index| test.binary_search(index).is_err())
                    .collect();
                let all = Arc::new(all);
                let test = Subset::new(all.clone(), test);
                Ok(Self::new(
                    Subset::new(all, train),
                    Some(Arc::new(test)),
                    problems,
                ))
            }
            FolderLayout::Flat => {
                let mut all = ImageFolder::open_flat(folder, &options("all"))?;
                let problems = all.take_problems();
                Ok(Self::new(all, None, problems))
            }
        }
    }

    fn new(
        train: impl ImageSource + 'static,
        test: Option<Arc<dyn ImageSource>>,
        problems: Vec<DataError>,
    ) -> Self {
        Self {
            train: Arc::new(train),
            test,
            problems,
        }
    }
}
