use std::path::Path;
use std::sync::Arc;

use super::file_kind::merge;
use super::layout::{DataFolder, FolderLayout};
use super::summary::DataSummary;
use super::{
    ImageFolder, ImageSource, LeftOut, ScanOptions, Subset, cifar, imagenet, inaturalist,
    tiny_imagenet,
};
use crate::{DataError, Result, class_balanced_subset, fashion_mnist};

/// Share of the images held out for the test if the folder has no test part.
const TEST_SHARE: f64 = 0.2;

/// Training and test images.
pub struct DataSet {
    /// The images to train on.
    pub train: Arc<dyn ImageSource>,
    /// Labeled images of the same classes to test on. `None` if the images have no labels or a
    /// single class.
    pub test: Option<Arc<dyn ImageSource>>,
    /// Problems that do not prevent a run: what was left out or looks wrong. Show them to the user.
    pub problems: Vec<DataError>,
    summary: DataSummary,
}

impl DataSet {
    /// The embedded subset of Fashion-MNIST: 10,000 images to train on, 10,000 to test on. Needs
    /// the feature `embedded`.
    #[cfg(feature = "embedded")]
    pub fn embedded() -> Self {
        Self::in_memory(
            "the embedded subset of Fashion-MNIST".into(),
            (
                fashion_mnist::embedded_train(),
                fashion_mnist::embedded_test(),
            ),
            LeftOut::new(),
        )
    }

    /// Opens a folder of any [`FolderLayout`]; see [`DataFolder::find`]. If a folder of classes has
    /// no test part, a class-balanced fifth is held out, always the same one. A class with one
    /// image stays in training. `options` says how each part (`train`, `val`, `test` or `all`) is
    /// searched.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read or holds no images, does not show which part is for training,
    /// or has parts with different classes; or if a cache cannot be written.
    pub fn open(folder: &Path, options: impl Fn(&'static str) -> ScanOptions) -> Result<Self> {
        let DataFolder {
            root,
            layout,
            unused,
            left_out,
        } = DataFolder::find(folder)?;
        let beneath = match root.strip_prefix(folder) {
            Ok(beneath) if beneath != Path::new("") => format!("in {}: ", beneath.display()),
            _ => String::new(),
        };
        let layout_is = |what: &str| format!("{beneath}{what}");
        let mut set = match layout {
            FolderLayout::Idx => {
                let sets = fashion_mnist::load_idx(&root)?;
                Self::in_memory(layout_is("IDX files"), sets, left_out)
            }
            FolderLayout::Cifar10 => {
                let sets = cifar::load_10(&root)?;
                Self::in_memory(layout_is("CIFAR-10's binary files"), sets, left_out)
            }
            FolderLayout::Cifar100 => {
                let sets = cifar::load_100(&root)?;
                Self::in_memory(layout_is("CIFAR-100's binary files"), sets, left_out)
            }
            FolderLayout::INaturalist2018 => {
                let parts = inaturalist::open_parts(&root)?;
                Self::in_memory(layout_is("iNaturalist 2018's lists"), parts, left_out)
            }
            FolderLayout::Parts { train, test } => {
                let what = format!("folders {train} and {test}, in each a folder for each class");
                let names = [&train[..], &test];
                let parts =
                    imagenet::open_parts(&root, names, &options("train"), &options(second(&test)))?;
                Self::parts(layout_is(&what), names, parts, left_out)
            }
            FolderLayout::TinyImageNet { train, val } => {
                let what = format!(
                    "Tiny ImageNet's: folder {train} with a folder for each class, folder {val} \
                     with a \
                     list of classes"
                );
                let names = [&train[..], &val];
                let parts =
                    tiny_imagenet::open(&root, names, &options("train"), &options(second(&val)))?;
                Self::parts(layout_is(&what), names, parts, left_out)
            }
            FolderLayout::Classes => {
                let all = ImageFolder::open(&root, &options("all"))?;
                Self::split(&layout_is("a folder for each class"), all, left_out)?
            }
            FolderLayout::Flat => {
                let mut all = ImageFolder::open_flat(&root, &options("all"))?;
                let problems = all.take_problems();
                let left_out = merged(left_out, &[&all]);
                let layout = layout_is("images without labels");
                Self::new(layout, ("all", Arc::new(all)), None, left_out, problems)
            }
        };
        set.problems.extend(unused);
        Ok(set)
    }

    /// Summary of the data: layout, classes, parts, files left out by kind, and whether a probe is
    /// possible.
    pub fn summary(&self) -> &DataSummary {
        &self.summary
    }

    fn in_memory(
        layout: String,
        (train, test): (impl ImageSource + 'static, impl ImageSource + 'static),
        left_out: LeftOut,
    ) -> Self {
        let test: Arc<dyn ImageSource> = Arc::new(test);
        Self::new(
            layout,
            ("train", Arc::new(train)),
            Some(("test", test)),
            left_out,
            Vec::new(),
        )
    }

    fn parts(
        layout: String,
        [train_name, test_name]: [&str; 2],
        (mut train, mut test): (ImageFolder, ImageFolder),
        left_out: LeftOut,
    ) -> Self {
        let left_out = merged(left_out, &[&train, &test]);
        let mut problems = train.take_problems();
        problems.extend(test.take_problems());
        let test: Arc<dyn ImageSource> = Arc::new(test);
        Self::new(
            layout,
            (train_name, Arc::new(train)),
            Some((test_name, test)),
            left_out,
            problems,
        )
    }

    /// Splits a folder of classes into training and test.
    fn split(layout: &str, mut all: ImageFolder, left_out: LeftOut) -> Result<Self> {
        let mut problems = all.take_problems();
        let left_out = merged(left_out, &[&all]);
        let labels = all.labels().unwrap_or_default();
        let mut counts = vec![0; all.classes().len()];
        for &label in labels {
            counts[label as usize] += 1;
        }
        if counts.iter().filter(|count| **count > 0).count() < 2 {
            let train = ("all", Arc::new(all) as Arc<dyn ImageSource>);
            let layout = layout.to_owned();
            return Ok(Self::new(layout, train, None, left_out, problems));
        }
        let mut test = class_balanced_subset(labels, TEST_SHARE, 0)?;
        test.retain(|&index| {
            let class = labels[index] as usize;
            if counts[class] == 1 {
                problems.push(DataError::SingleImage {
                    class: all.classes()[class].clone(),
                    image: all.path(index).into(),
                });
            }
            counts[class] > 1
        });
        let train = (0..all.len())
            .filter(|index| test.binary_search(index).is_err())
            .collect();
        let layout = format!("{layout}; a fifth of each class is kept for the test");
        let all = Arc::new(all);
        let train = Arc::new(Subset::new(all.clone(), train));
        let test = (!test.is_empty()).then(|| Arc::new(Subset::new(all, test)));
        let test = test.map(|test| ("test", test as Arc<dyn ImageSource>));
        Ok(Self::new(
            layout,
            ("train", train),
            test,
            left_out,
            problems,
        ))
    }

    fn new(
        layout: String,
        train: (&str, Arc<dyn ImageSource>),
        test: Option<(&str, Arc<dyn ImageSource>)>,
        left_out: LeftOut,
        problems: Vec<DataError>,
    ) -> Self {
        let summary = DataSummary::new(
            layout,
            (train.0, &*train.1),
            test.as_ref().map(|(name, test)| (*name, &**test)),
            left_out,
        );
        Self {
            train: train.1,
            test: test.map(|(_, test)| test),
            problems,
            summary,
        }
    }
}

/// Name of the second part for the options.
fn second(name: &str) -> &'static str {
    if name.to_ascii_lowercase().starts_with("test") {
        "test"
    } else {
        "val"
    }
}

/// The files left out above the parts and in them.
fn merged(mut left_out: LeftOut, parts: &[&ImageFolder]) -> LeftOut {
    for part in parts {
        merge(&mut left_out, part.left_out());
    }
    left_out
}
