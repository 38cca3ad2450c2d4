//! The embeddings of some images, before and after.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_data::Loader;
use e2mc_eval::diagnostics::{Collapse, NeighborDistances, effective_rank};
use e2mc_loss::{CompactSpace, E2mcLossConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use ssl_methods::BaseMethod;

use crate::Error;
use crate::files::write_atomically;
use crate::probing::{Extraction, distances_to_neighbors};

/// Dimensions that are kept for the figure of marginals, which shows random pairs of them.
const KEPT_DIMENSIONS: usize = 64;

/// What a backbone and its projector make of the same images, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingSummary {
    /// Images measured.
    pub images: usize,
    /// Marginal entropy of the embeddings on the compact space (0: uniform).
    pub entropy: f64,
    /// Off-diagonal covariance of the embeddings on the compact space (0: uncorrelated).
    pub covariance: f64,
    /// Mean standard deviation of the embeddings' dimensions.
    pub std: f64,
    /// Effective rank (RankMe) of the embeddings.
    pub effective_rank: f64,
    /// Dimensions of the embeddings: the highest rank there can be.
    pub dimensions: usize,
    /// Effective rank of the backbone's features.
    pub feature_rank: f64,
    /// Dimensions of the features.
    pub feature_dimensions: usize,
}

impl EmbeddingSummary {
    /// Whether the embeddings have collapsed.
    pub fn collapse(&self) -> Option<Collapse> {
        let shape = [self.images, self.dimensions];
        Collapse::of(self.std, self.effective_rank, shape)
    }
}

/// Some dimensions of the embeddings on the compact space, `[n, d]`.
pub(crate) struct Compact {
    pub(crate) values: Tensor<2>,
}

/// Measures the embeddings of a loader's images, and their distances to neighbors where there are
/// enough. Where only directions count for the method, distances are between those.
pub(super) fn measure<M: BaseMethod>(
    method: &M,
    loader: &Loader,
    space: CompactSpace,
    extraction: &Extraction,
) -> Result<(EmbeddingSummary, Compact, Option<NeighborDistances>), Error> {
    let method = method.valid();
    let (mut embeddings, mut features) = (Vec::new(), Vec::new());
    for batch in extraction.batches(loader) {
        let images = batch?.0;
        features.push(method.backbone().forward(images.clone()));
        embeddings.push(method.project(images));
    }
    let embeddings = Tensor::cat(embeddings, 0);
    let features = Tensor::cat(features, 0);
    let [images, dimensions] = embeddings.dims();
    let e2mc = E2mcLossConfig::new(space).init();
    let judged = e2mc.forward(std::slice::from_ref(&embeddings));
    let scalar = |value: Tensor<1>| value.into_scalar::<f64>();
    let summary = EmbeddingSummary {
        images,
        entropy: scalar(judged.entropy),
        covariance: scalar(judged.covariance),
        std: scalar(embeddings.clone().var(0).sqrt().mean()),
        effective_rank: effective_rank(embeddings.clone()),
        dimensions,
        feature_dimensions: features.dims()[1],
        feature_rank: effective_rank(features),
    };
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
    pub(super) fn write(self, path: &Path) -> Result<(), Error> {
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

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
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
