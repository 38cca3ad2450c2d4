//! The embeddings of some images, before and after training.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_data::source::{ImageSource, Subset};
use e2mc_data::{Loader, Recipe};
use e2mc_eval::diagnostics::NeighborDistances;
use e2mc_loss::CompactSpace;
use e2mc_resnet::Backbone;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use ssl_methods::BaseMethod;

use crate::files::write_atomically;
use crate::probing::{Extraction, distances_to_neighbors, evaluation_loader};
use crate::{EmbeddingSummary, Error, Event, Result};

/// Most images whose embeddings are measured and shown.
const SHOWN_IMAGES: usize = 5000;
/// Dimensions kept for the figure of marginals, which shows random pairs of them.
const KEPT_DIMENSIONS: usize = 64;

/// Some dimensions of the embeddings on the compact space, `[n, d]`.
pub(crate) struct Compact {
    pub(crate) values: Tensor<2>,
}

/// The images whose embeddings are measured and shown: up to 5000 evenly spaced test images, or
/// training images if there are no test images.
pub(crate) fn shown_images(
    train: &Arc<dyn ImageSource>,
    test: Option<&Arc<dyn ImageSource>>,
    recipe: &Recipe,
) -> Result<Loader> {
    let shown = test.unwrap_or(train);
    let count = shown.len().min(SHOWN_IMAGES);
    let evenly = (0..count).map(|i| i * shown.len() / count).collect();
    // Few images may contain more than their share of the unreadable ones.
    evaluation_loader(Arc::new(Subset::new(shown.clone(), evenly)), recipe, 1.0)
}

/// The embeddings and the features of a loader's images, `[n, d]` each.
pub(crate) fn embed<M: BaseMethod>(
    method: &M,
    loader: &Loader,
    extraction: &Extraction,
) -> Result<(Tensor<2>, Tensor<2>)> {
    let method = method.valid();
    let (mut embeddings, mut features) = (Vec::new(), Vec::new());
    let mut done = 0;
    for batch in extraction.batches(loader) {
        let images = batch?.0;
        done += images.dims()[0];
        features.push(method.backbone().forward(images.clone()));
        embeddings.push(method.project(images));
        extraction.observer.event(&Event::Progress {
            task: extraction.task,
            done,
            total: extraction.done_and_total[1],
        });
    }
    Ok((Tensor::cat(embeddings, 0), Tensor::cat(features, 0)))
}

/// Measures the embeddings of a loader's images, and their distances to neighbors if there are
/// enough. If only directions count for the method, the embeddings are normalized first.
pub(super) fn measure<M: BaseMethod>(
    method: &M,
    loader: &Loader,
    space: CompactSpace,
    extraction: &Extraction,
) -> Result<(EmbeddingSummary, Compact, Option<NeighborDistances>)> {
    let (embeddings, features) = embed(method, loader, extraction)?;
    let summary = EmbeddingSummary::of(&embeddings, &features, space);
    let dimensions = summary.dimensions;
    let directions = match space {
        CompactSpace::Hypersphere => {
            let lengths = embeddings.clone().square().sum_dim(1).sqrt();
            embeddings.clone() / lengths.clamp_min(f32::MIN_POSITIVE)
        }
        CompactSpace::Hypercube => embeddings.clone(),
    };
    let neighbors = distances_to_neighbors(directions)?;
    let kept = dimensions.min(KEPT_DIMENSIONS);
    let evenly: Vec<i32> = (0..kept).map(|i| (i * dimensions / kept) as i32).collect();
    let evenly = Tensor::from_data(TensorData::new(evenly, [kept]), &embeddings.device());
    let values = space.transform(embeddings.select(1, evenly));
    Ok((summary, Compact { values }, neighbors))
}

const NAME: &str = "compact_embeddings";

impl Compact {
    pub(super) fn write(self, path: &Path) -> Result<()> {
        let shape = self.values.dims().to_vec();
        let values: Vec<u8> = self
            .values
            .into_data()
            .iter::<f32>()
            .flat_map(f32::to_le_bytes)
            .collect();
        let view = TensorView::new(Dtype::F32, shape, &values).expect("four bytes a value");
        let bytes = serialize([(NAME, view)], None).expect("one tensor has a header");
        write_atomically(path, &bytes)
    }

    /// Reads a file written by [`write`](Self::write).
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let damaged =
            |reason: String| Error::state(path, format!("{reason}; delete it and resume the run"));
        let bytes = std::fs::read(path).map_err(Error::read(path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let view = file.tensor(NAME).map_err(|e| damaged(e.to_string()))?;
        let &[n, d] = view.shape() else {
            return Err(damaged("it holds no embeddings".into()));
        };
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect();
        if values.len() != n * d {
            return Err(damaged("its embeddings are not f32".into()));
        }
        let device = Device::default();
        let values = Tensor::from_data(TensorData::new(values, [n, d]), &device);
        Ok(Self { values })
    }
}
