use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::Features;
use e2mc_eval::diagnostics::{NeighborDistances, neighbor_distances};

use crate::Result;

/// The farther of the two neighbors (Figure 3).
const FAR: usize = 100;
/// The most images measured, since the time is quadratic.
const IMAGES: usize = 2000;

/// Distances of each of the vectors `[n, d]` to its nearest and its 100th nearest neighbor, or the
/// farthest if there are fewer (Figure 3). None for fewer than three vectors. Of more than 2000
/// vectors, 2000 evenly spaced ones are used.
pub(crate) fn distances_to_neighbors(vectors: Tensor<2>) -> Result<Option<NeighborDistances>> {
    let [n, _] = vectors.dims();
    let count = n.min(IMAGES);
    let rows: Vec<i32> = (0..count).map(|i| (i * n / count) as i32).collect();
    match count {
        0..=2 => Ok(None),
        _ => {
            let rows = Tensor::from_data(TensorData::new(rows, [count]), &vectors.device());
            let vectors = vectors.select(0, rows);
            Ok(Some(neighbor_distances(vectors, FAR.min(count - 1))?))
        }
    }
}

/// [`distances_to_neighbors`] of features, without a second copy in memory.
pub(crate) fn distances_of_features(
    features: &Features,
    device: &Device,
) -> Result<Option<NeighborDistances>> {
    let (n, dims) = (features.len(), features.dims());
    let count = n.min(IMAGES);
    let rows = (0..count).flat_map(|i| features.row(i * n / count));
    let values = TensorData::new(rows.copied().collect::<Vec<f32>>(), [count, dims]);
    distances_to_neighbors(Tensor::from_data(values, &device.clone().inner()))
}
