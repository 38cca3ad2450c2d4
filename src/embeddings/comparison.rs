use e2mc_eval::statistics::{PairedT, Summary, paired_t};
use serde::{Deserialize, Serialize};

use super::{EmbeddingSummary, Quantity};
use crate::Result;

/// One quantity of a backbone's embeddings, compared with another backbone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingComparison {
    /// The compared quantity.
    pub quantity: Quantity,
    /// Name of the backbone.
    pub backbone: String,
    /// Name of the reference backbone.
    pub reference: String,
    /// Difference, backbone minus reference, over the blocks of images.
    pub difference: Summary,
    /// Paired t test over the blocks: would other images show the same difference? None for a
    /// single block.
    pub over_blocks: Option<PairedT>,
}

impl EmbeddingComparison {
    /// Compares two backbones, each given by its name, in every quantity.
    ///
    /// # Errors
    ///
    /// If a value is not finite.
    pub(crate) fn all(
        (name, backbone): (&str, &EmbeddingSummary),
        (reference_name, reference): (&str, &EmbeddingSummary),
    ) -> Result<Vec<Self>> {
        let compare = |quantity: Quantity| {
            let pairs = backbone.blocks.iter().zip(&reference.blocks);
            let differences: Vec<f64> = pairs
                .map(|(after, before)| quantity.of(after) - quantity.of(before))
                .collect();
            Ok(Self {
                quantity,
                backbone: name.into(),
                reference: reference_name.into(),
                difference: Summary::of(&differences)?,
                over_blocks: match differences.len() {
                    0 | 1 => None,
                    _ => Some(paired_t(&differences)?),
                },
            })
        };
        Quantity::ALL.into_iter().map(compare).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmbeddingMeasures;

    /// A summary whose blocks have these entropies, and ten times these ranks.
    fn summary(entropies: &[f64]) -> EmbeddingSummary {
        let block = |&entropy: &f64| {
            EmbeddingMeasures::from_each(|quantity| match quantity {
                Quantity::Entropy => entropy,
                Quantity::EffectiveRank => 10.0 * entropy,
                _ => 0.5,
            })
        };
        let blocks: Vec<EmbeddingMeasures> = entropies.iter().map(block).collect();
        EmbeddingSummary {
            images: 100,
            block_images: 10,
            dimensions: 4,
            feature_dimensions: 4,
            mean: blocks[0],
            standard_error: None,
            blocks,
        }
    }

    #[test]
    fn blocks_are_compared_in_pairs() {
        let [before, after] = [[1.0, 2.0, 3.0], [1.5, 2.25, 3.75]].map(|of| summary(&of));
        let all = EmbeddingComparison::all(("e2mc", &after), ("base", &before)).unwrap();
        assert_eq!(all.len(), Quantity::ALL.len());
        for of in &all {
            let mean = match of.quantity {
                Quantity::Entropy => 0.5,
                Quantity::EffectiveRank => 5.0,
                _ => 0.0,
            };
            assert!((of.difference.mean - mean).abs() < 1e-12, "{of:?}");
            let test = of.over_blocks.unwrap();
            // 0.5 with a standard error of 0.25 / sqrt(3): t = 3.46 with two degrees of freedom.
            assert_eq!(test.p_value < 0.1, mean > 0.0, "{test:?}");
        }
    }

    #[test]
    fn a_single_block_has_no_test() {
        let one = summary(&[1.0]);
        let all = EmbeddingComparison::all(("e2mc", &one), ("base", &one)).unwrap();
        assert!(all.iter().all(|of| of.over_blocks.is_none()));
    }
}
