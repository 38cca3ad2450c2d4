use super::Table;
use super::embedding_table::{cell, titled};
use crate::{Diagnosis, Quantity};

/// Measurements of a checkpoint's embeddings, beside independent uniform embeddings of the same
/// shape.
pub fn diagnosis_table(found: &Diagnosis) -> Table {
    let rows = Quantity::ALL.map(|quantity| {
        let digits = quantity.decimals();
        // The features of such embeddings are meaningless, and so is their standard deviation,
        // which depends only on the map to the compact space.
        let uniform = match quantity {
            Quantity::FeatureRank | Quantity::Std => "-".into(),
            _ => format!("{:.digits$}", quantity.of(&found.uniform)),
        };
        let name = titled(quantity, &found.embeddings);
        vec![name, cell(quantity, &found.embeddings), uniform]
    });
    Table {
        headings: ["", "checkpoint", "uniform"].map(String::from).to_vec(),
        rows: rows.to_vec(),
        caption: "Embeddings Z (projector output) and features Y (backbone output): mean ± \
                 standard error over blocks of images. Uniform: independent uniform embeddings of \
                 the same shape, the criterion's optimum. Distance to uniform: Kolmogorov-Smirnov. \
                 Rank: effective rank (RankMe).",
    }
}
