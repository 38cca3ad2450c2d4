use super::Table;
use super::table::p_value;
use crate::{BackboneResults, EmbeddingComparison, EmbeddingSummary, Quantity};

/// With more backbones than this, each one is a row instead of a column.
const BESIDE: usize = 4;

/// Measurements of the backbones' embeddings, with the test of every branch against its reference.
/// One row per quantity, or one row per backbone if there are many.
pub fn embedding_table(
    backbones: &[BackboneResults],
    comparisons: &[EmbeddingComparison],
) -> Table {
    match backbones.len() <= BESIDE {
        true => of_quantities(backbones, comparisons),
        false => of_backbones(backbones, comparisons),
    }
}

fn of_quantities(backbones: &[BackboneResults], comparisons: &[EmbeddingComparison]) -> Table {
    let title = |name: &str| {
        let found = backbones.iter().find(|backbone| backbone.name == name);
        found.map_or(name.to_string(), |backbone| backbone.title.clone())
    };
    let of_entropy = |of: &&EmbeddingComparison| of.quantity == Quantity::Entropy;
    let is_reference = |name: &str| comparisons.iter().any(|of| of.reference == name);
    let tested: Vec<&EmbeddingComparison> = comparisons
        .iter()
        .filter(of_entropy)
        .filter(|of| !is_reference(&of.backbone))
        .collect();
    let columns = tested
        .iter()
        .map(|of| format!("p, {} vs {}", title(&of.backbone), title(&of.reference)));
    let headings = ["".to_string()]
        .into_iter()
        .chain(backbones.iter().map(|backbone| backbone.title.clone()))
        .chain(columns);
    let rows = Quantity::ALL.map(|quantity| {
        let name = match backbones.first() {
            Some(first) => titled(quantity, &first.embeddings),
            None => quantity.title().into(),
        };
        let cells = backbones
            .iter()
            .map(|backbone| cell(quantity, &backbone.embeddings));
        let tests = tested.iter().map(|branch| {
            let test = comparisons
                .iter()
                .find(|of| of.quantity == quantity && of.backbone == branch.backbone)
                .and_then(|of| of.over_blocks);
            test.map_or("-".into(), |test| p_value(test.p_value))
        });
        [name].into_iter().chain(cells).chain(tests).collect()
    });
    Table {
        headings: headings.collect(),
        rows: rows.to_vec(),
        caption: "Embeddings Z (projector output) and features Y (backbone output) of the same \
                  images: mean ± standard error over blocks of images, p of the paired t test \
                  over the blocks. Entropy 0 is uniform, the maximum. Distance to uniform: \
                  Kolmogorov-Smirnov. Rank: effective rank (RankMe).",
    }
}

fn of_backbones(backbones: &[BackboneResults], comparisons: &[EmbeddingComparison]) -> Table {
    let names = Quantity::ALL.map(|quantity| match backbones.first() {
        Some(first) => titled(quantity, &first.embeddings),
        None => quantity.title().into(),
    });
    let rows = backbones.iter().map(|backbone| {
        let cells = Quantity::ALL.map(|quantity| {
            let of_cell =
                |of: &&EmbeddingComparison| of.quantity == quantity && of.backbone == backbone.name;
            let test = comparisons
                .iter()
                .find(of_cell)
                .and_then(|of| of.over_blocks);
            let star = match test {
                Some(test) if test.p_value < 0.001 => " *",
                _ => "",
            };
            cell(quantity, &backbone.embeddings) + star
        });
        [backbone.title.clone()].into_iter().chain(cells).collect()
    });
    Table {
        headings: ["backbone".to_string()].into_iter().chain(names).collect(),
        rows: rows.collect(),
        caption: "Embeddings Z (projector output) and features Y (backbone output) of the same \
                  images: mean ± standard error over blocks of images. *: p below 0.001 in a \
                  paired t test over the blocks, against the branch without a criterion or else \
                  the base. Entropy 0 is uniform, the maximum. Distance to uniform: \
                  Kolmogorov-Smirnov. Rank: effective rank (RankMe).",
    }
}

/// The quantity's name, with the largest possible value for a rank.
pub(super) fn titled(quantity: Quantity, of: &EmbeddingSummary) -> String {
    let most = match quantity {
        Quantity::EffectiveRank => of.dimensions.min(of.block_images),
        Quantity::FeatureRank => of.feature_dimensions.min(of.block_images),
        _ => return quantity.title().into(),
    };
    format!("{} (at most {most})", quantity.title())
}

/// Mean and standard error.
pub(super) fn cell(quantity: Quantity, of: &EmbeddingSummary) -> String {
    let digits = quantity.decimals();
    let mean = quantity.of(&of.mean);
    match &of.standard_error {
        Some(error) => format!("{mean:.digits$} ± {:.digits$}", quantity.of(error)),
        None => format!("{mean:.digits$}"),
    }
}
