use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use e2mc_data::source::{ImageSource, Subset};
use e2mc_data::{FailedRead, Loader, Recipe};
use e2mc_eval::{EvalError, Features};
use e2mc_resnet::Backbone;

use super::training_features::{Fresh, FreshEpoch, TrainFeatures};
use super::{Extraction, FeaturesOf, evaluation_loader, extract};
use crate::plan::Crops;
use crate::{Observer, Result};

/// Labeled images for probes, and their views.
#[derive(Clone)]
pub(crate) struct ProbeImages {
    train: Arc<dyn ImageSource>,
    test: Arc<dyn ImageSource>,
    evaluation: Recipe,
    /// Random crops.
    random: Recipe,
    crops: Crops,
    failure_limit: f64,
}

/// The context of the computation of features.
pub(crate) struct Around<'a> {
    pub(crate) device: &'a Device,
    pub(crate) observer: &'a dyn Observer,
    /// Title of the backbone.
    pub(crate) title: &'a str,
    /// The folder named by the error if the observer stops the run.
    pub(crate) folder: &'a Path,
    /// Called with the unreadable images and their source.
    pub(crate) failed: &'a (dyn Fn(&dyn ImageSource, &[FailedRead]) + Sync),
}

/// The features computed before the first probe.
pub(crate) struct ProbeFeatures {
    /// Features of the training images for each crop; empty for fresh crops.
    pub(crate) crops: Vec<Features>,
    /// Training images that were unreadable for at least one crop.
    pub(crate) unreadable: Vec<usize>,
    pub(crate) test: Features,
}

impl ProbeFeatures {
    /// The features of a probe's training images: of the cached crops, or computed by `fresh`.
    pub(crate) fn train<'a>(&'a self, fresh: &'a Fresh<'a>) -> TrainFeatures<'a> {
        match self.crops.is_empty() {
            true => TrainFeatures::Fresh(fresh),
            false => TrainFeatures::Cached {
                crops: &self.crops,
                unreadable: &self.unreadable,
            },
        }
    }

    /// Labels of the training images of `source`. An unreadable image's label is that of its
    /// replacement.
    ///
    /// # Panics
    ///
    /// If the images have no labels.
    pub(crate) fn train_labels<'a>(&'a self, source: &'a dyn ImageSource) -> &'a [u32] {
        let of_crops = self.crops.first().map(Features::labels);
        of_crops
            .or(source.labels())
            .expect("probed images have labels")
    }
}

impl ProbeImages {
    /// Training and test images, viewed with `evaluation`, or with `random` for random crops.
    pub(crate) fn new(
        [train, test]: [Arc<dyn ImageSource>; 2],
        evaluation: &Recipe,
        random: Recipe,
        crops: Crops,
        failure_limit: f64,
    ) -> Result<Self> {
        for part in [&train, &test] {
            evaluation_loader(part.clone(), evaluation, failure_limit)?;
        }
        random.validate()?;
        Ok(Self {
            train,
            test,
            evaluation: evaluation.clone(),
            random,
            crops,
            failure_limit,
        })
    }

    /// The same with some of the training images only.
    ///
    /// # Panics
    ///
    /// If there is no image at one of the rows.
    pub(crate) fn of_training_images(&self, rows: &[usize]) -> Self {
        Self {
            train: Arc::new(Subset::new(self.train.clone(), rows.to_vec())),
            // A few images may hold more than their share of the unreadable ones.
            failure_limit: 1.0,
            ..self.clone()
        }
    }

    pub(crate) fn train(&self) -> &dyn ImageSource {
        &*self.train
    }

    pub(crate) fn test(&self) -> &dyn ImageSource {
        &*self.test
    }

    /// Images whose features are in memory at a time. Each crop counts as an image.
    pub(crate) fn in_memory(&self) -> usize {
        self.crops.in_memory() * self.train.len() + self.test.len()
    }

    /// Number of features of an image.
    ///
    /// # Errors
    ///
    /// If the last feature map is too small for a map probe.
    pub(crate) fn dims(&self, backbone: &FeaturesOf<impl Backbone>) -> Result<usize, EvalError> {
        let side = self.evaluation.view_sizes()[0];
        backbone.dims([side, side, self.evaluation.channels()])
    }

    /// Names of the sets of features that [`features`](Self::features) computes.
    pub(crate) fn parts(&self) -> Vec<String> {
        let train = match self.crops {
            Crops::Center => vec!["train".to_string()],
            Crops::Cached(count) => (0..count.get()).map(|i| format!("train-{i}")).collect(),
            Crops::Fresh => Vec::new(),
        };
        [train, vec!["test".into()]].concat()
    }

    /// The features of a backbone, except features of fresh crops. Each part is kept in the file
    /// that `cache` names for it.
    pub(crate) fn features(
        &self,
        backbone: &FeaturesOf<impl Backbone>,
        around: &Around,
        cache: impl Fn(&str) -> Option<PathBuf>,
    ) -> Result<ProbeFeatures> {
        let parts = self.parts();
        let (test, train) = parts.split_last().expect("the test images are a part");
        let total = train.len() * self.train.len() + self.test.len();
        let task = format!("features, {}", around.title);
        let random = match self.crops {
            Crops::Center => &self.evaluation,
            _ => &self.random,
        };
        let (mut crops, mut unreadable, mut done) = (Vec::new(), Vec::new(), 0);
        for (crop, part) in train.iter().enumerate() {
            let loader = evaluation_loader(self.train.clone(), random, self.failure_limit)?;
            let step = Step {
                task: &task,
                done_and_total: [done, total],
                epoch: crop,
            };
            let cache = cache(part);
            let (features, failed) = self.extract(backbone, &loader, around, step, cache)?;
            crops.push(features);
            unreadable.extend(failed);
            done += self.train.len();
        }
        let loader = evaluation_loader(self.test.clone(), &self.evaluation, self.failure_limit)?;
        let step = Step {
            task: &task,
            done_and_total: [done, total],
            epoch: 0,
        };
        let (test, _) = self.extract(backbone, &loader, around, step, cache(test))?;
        Ok(ProbeFeatures {
            crops,
            unreadable,
            test,
        })
    }

    /// Computes the features of new crops of some training images.
    pub(crate) fn fresh<'a>(
        &'a self,
        backbone: &'a FeaturesOf<impl Backbone>,
        around: &'a Around,
    ) -> impl Fn(FreshEpoch) -> Result<(Features, Vec<usize>)> + 'a {
        move |wanted| {
            let chosen = Subset::new(self.train.clone(), wanted.rows.to_vec());
            // Few images may contain more than their share of the unreadable ones.
            let loader = evaluation_loader(Arc::new(chosen), &self.random, 1.0)?;
            let images = wanted.rows.len();
            let failed = |_: &dyn ImageSource, failed: &[FailedRead]| {
                let mut failed = failed.to_vec();
                // With their indices among all images.
                failed
                    .iter_mut()
                    .for_each(|image| image.index = wanted.rows[image.index]);
                (around.failed)(self.train(), &failed);
            };
            let around = Around {
                failed: &failed,
                ..*around
            };
            let step = Step {
                task: &format!("fresh crops, {}, {}", around.title, wanted.probe),
                done_and_total: [wanted.epoch * images, wanted.epochs * images],
                epoch: wanted.epoch,
            };
            self.extract(backbone, &loader, &around, step, None)
        }
    }

    /// The features of a loader's images, and the unreadable rows.
    fn extract(
        &self,
        backbone: &FeaturesOf<impl Backbone>,
        loader: &Loader,
        around: &Around,
        step: Step,
        cache: Option<PathBuf>,
    ) -> Result<(Features, Vec<usize>)> {
        let unreadable = RefCell::new(Vec::new());
        let extraction = Extraction {
            device: around.device,
            observer: around.observer,
            task: step.task,
            done_and_total: step.done_and_total,
            folder: around.folder,
            epoch: step.epoch,
            failed: &|images| {
                let rows = images.iter().map(|image| image.index);
                unreadable.borrow_mut().extend(rows);
                (around.failed)(loader.source(), images);
            },
        };
        let features = extract(backbone, loader, cache.as_deref(), &extraction)?;
        Ok((features, unreadable.into_inner()))
    }
}

/// A pass over images, and its position in the whole progress.
struct Step<'a> {
    task: &'a str,
    done_and_total: [usize; 2],
    /// Decides random crops.
    epoch: usize,
}
