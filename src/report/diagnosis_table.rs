use super::Table;
use super::embedding_table::{cell, titled};
use crate::{Diagnosis, Quantity};

/// What a checkpoint's embeddings are like, beside independent uniform ones of the same size.
pub fn diagnosis_table(found: &Diagnosis) -> Table {
    let rows = Quantity::ALL.map(|quantity| {
        let digits = quantity.decimals();
        // The features of such embeddings mean nothing; neither does a standard deviation that any
        // map to the compact space decides.
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
                  standard error over blocks of images. Uniform: independent, uniform \
                  embeddings of as many images and dimensions, what the criterion strives for. \
                  Distance to the uniform: Kolmogorov-Smirnov. Rank: effective rank (RankMe).",
    }
}
