use burn::tensor::{Tensor, TensorData};
use e2mc_eval::diagnostics::Collapse;
use e2mc_eval::statistics::Summary;
use e2mc_loss::CompactSpace;
use serde::{Deserialize, Serialize};

use super::{EmbeddingMeasures, Quantity};

/// The most blocks of images, and the fewest images per block.
const BLOCKS: usize = 10;
const BLOCK_IMAGES: usize = 50;

/// Measurements of features and embeddings on the same images. The images are split into ten blocks
/// (fewer if a block would have less than 50), and each block is measured. The values are means
/// over the blocks with their standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingSummary {
    /// Images measured.
    pub images: usize,
    /// Images per block. Ranks and distances to uniform depend on it.
    pub block_images: usize,
    /// Dimensions of the embeddings.
    pub dimensions: usize,
    /// Dimensions of the features.
    pub feature_dimensions: usize,
    /// Means over the blocks.
    #[serde(flatten)]
    pub mean: EmbeddingMeasures,
    /// Standard errors of the means; none for a single block.
    pub standard_error: Option<EmbeddingMeasures>,
    /// The measurements of each block.
    pub blocks: Vec<EmbeddingMeasures>,
}

impl EmbeddingSummary {
    /// Measures embeddings and features of the same images.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[n, d]`, the projector output
    /// - features: `[n, features]`, the backbone output
    ///
    /// # Panics
    ///
    /// If n < 2.
    pub fn of(embeddings: &Tensor<2>, features: &Tensor<2>, space: CompactSpace) -> Self {
        let [n, dimensions] = embeddings.dims();
        let count = (n / BLOCK_IMAGES).clamp(1, BLOCKS);
        let block_images = n / count;
        let blocks: Vec<_> = (0..count)
            .map(|block| {
                // Interleaved, since images of one class are neighbors in many data sets.
                let rows = (0..block_images).map(|i| (block + i * count) as i32);
                let rows = TensorData::new(rows.collect::<Vec<_>>(), [block_images]);
                let rows = Tensor::from_data(rows, &embeddings.device());
                let embeddings = embeddings.clone().select(0, rows.clone());
                EmbeddingMeasures::of(embeddings, features.clone().select(0, rows), space)
            })
            .collect();
        let over_blocks = |quantity: Quantity| over(&blocks, quantity);
        Self {
            images: n,
            block_images,
            dimensions,
            feature_dimensions: features.dims()[1],
            mean: EmbeddingMeasures::from_each(|quantity| over_blocks(quantity).mean),
            standard_error: (count > 1).then(|| {
                EmbeddingMeasures::from_each(|quantity| {
                    let error = over_blocks(quantity).standard_error();
                    error.expect("there are several blocks")
                })
            }),
            blocks,
        }
    }

    /// Whether the embeddings have collapsed.
    pub fn collapse(&self) -> Option<Collapse> {
        let shape = [self.block_images, self.dimensions];
        Collapse::of(self.mean.std, self.mean.effective_rank, shape)
    }
}

fn over(blocks: &[EmbeddingMeasures], quantity: Quantity) -> Summary {
    let values: Vec<f64> = blocks.iter().map(|block| quantity.of(block)).collect();
    Summary::of(&values).expect("there is one block at least")
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// 500 rows of two dimensions: the row's block (of ten), and its place in the block.
    fn rows() -> Tensor<2> {
        let values: Vec<f32> = (0..500)
            .flat_map(|i| [(i % 10) as f32 - 4.5, (i / 10) as f32 / 10.0 - 2.45])
            .collect();
        Tensor::from_data(TensorData::new(values, [500, 2]), &Device::flex())
    }

    #[test]
    fn images_are_dealt_into_blocks() {
        let summary = EmbeddingSummary::of(&rows(), &rows(), CompactSpace::Hypersphere);
        assert_eq!((summary.images, summary.block_images), (500, 50));
        assert_eq!(summary.blocks.len(), 10);
        // Within a block the first dimension is constant, the second has 50 values a tenth apart,
        // whose variance is 50 * 51 / 12 / 100.
        let std = 0.5 * (50.0f64 * 51.0 / 1200.0).sqrt();
        for block in &summary.blocks {
            assert!((block.std - std).abs() < 1e-6, "{block:?}");
            assert!(block.covariance < 1e-12, "{block:?}");
        }
        assert!((summary.mean.std - std).abs() < 1e-6);
        assert!(summary.standard_error.unwrap().std < 1e-6);
    }

    #[test]
    fn few_images_are_one_block_without_an_error() {
        let three = rows().slice([0..3, 0..2]);
        let summary = EmbeddingSummary::of(&three, &three, CompactSpace::Hypercube);
        assert_eq!((summary.block_images, summary.blocks.len()), (3, 1));
        assert!(summary.standard_error.is_none());
    }
}
