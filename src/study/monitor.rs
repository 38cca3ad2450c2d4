//! A cheap evaluation of a backbone in training: kNN on held-out training images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2mc_data::source::{ImageSource, Subset};
use e2mc_data::{Loader, Recipe};
use e2mc_eval::{Features, KnnConfig, knn};
use e2mc_resnet::Backbone;
use serde::{Deserialize, Serialize};

use super::epoch_lines::EpochLine;
use crate::probing::{Extraction, FeaturesOf, evaluation_loader, extract};
use crate::{Error, Result};

/// At most this many images vote, and this many are classified.
const GALLERY: usize = 5000;
const QUERIES: usize = 1000;
/// Neighbors that vote.
const NEIGHBORS: usize = 20;

/// Labeled training images in two parts. Test images are not used while a branch trains.
pub(super) struct Monitor {
    pub(super) every: usize,
    gallery: Loader,
    queries: Loader,
}

/// One line of `monitor-BRANCH.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct MonitorLine {
    /// Whole epochs done.
    pub(crate) epoch: usize,
    /// Top-1 accuracy of kNN in percent.
    pub(crate) knn: f64,
}

/// The file with the accuracies of a branch.
pub(super) fn monitor_file(root: &Path, branch: &str) -> PathBuf {
    root.join(format!("monitor-{branch}.jsonl"))
}

impl EpochLine for MonitorLine {
    fn epoch(&self) -> usize {
        self.epoch
    }
}

impl Monitor {
    /// Evaluates on images of `train` every `every` epochs. Every sixth of the chosen images is a
    /// query.
    pub(super) fn new(train: Arc<dyn ImageSource>, recipe: &Recipe, every: usize) -> Result<Self> {
        let count = train.len().min(GALLERY + QUERIES);
        let chosen = (0..count).map(|i| i * train.len() / count);
        let (queries, gallery): (Vec<_>, Vec<_>) = chosen
            .enumerate()
            .partition(|(i, _)| i % (GALLERY / QUERIES + 1) == 0);
        if gallery.is_empty() {
            let expected = "at least 2 labeled training images, to hold some out";
            return Err(Error::invalid("monitor_every", every, expected));
        }
        let loader = |part: Vec<(usize, usize)>| {
            let part = part.into_iter().map(|(_, image)| image).collect();
            let part = Subset::new(train.clone(), part);
            // Few images may contain more than their share of the unreadable ones.
            evaluation_loader(Arc::new(part), recipe, 1.0)
        };
        Ok(Self {
            every,
            gallery: loader(gallery)?,
            queries: loader(queries)?,
        })
    }

    /// Top-1 accuracy of kNN on a backbone's features, in percent.
    pub(super) fn accuracy(
        &self,
        backbone: &impl Backbone,
        extraction: &Extraction,
    ) -> Result<f64> {
        let backbone = backbone.valid();
        let features = |loader: &Loader| -> Result<Features> {
            extract(&FeaturesOf::Average(&backbone), loader, None, extraction)
        };
        let gallery = features(&self.gallery)?;
        let queries = features(&self.queries)?;
        let config = KnnConfig::new().with_k(NEIGHBORS.min(gallery.len()));
        let result = knn(&gallery, &queries, &config, extraction.device)?;
        Ok(100.0 * result.accuracy)
    }

    /// Images of both parts.
    pub(super) fn images(&self) -> usize {
        self.gallery.source().len() + self.queries.source().len()
    }
}
