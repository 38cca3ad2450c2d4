use serde::{Deserialize, Serialize};

use super::BackboneResults;
use crate::{Comparison, EmbeddingComparison, Verdict};

/// What a study found; `results.json` of the run folder, written last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyResults {
    /// Every backbone: the base, unless training began from scratch, then the branches in the
    /// plan's order.
    pub backbones: Vec<BackboneResults>,
    /// Every branch against the reference, which is the first branch without a criterion, or the
    /// base; and that reference against the base.
    pub comparisons: Vec<Comparison>,
    /// The embeddings likewise.
    pub embedding_comparisons: Vec<EmbeddingComparison>,
    /// The verdict on every branch with a criterion.
    pub verdicts: Vec<Verdict>,
}

impl StudyResults {
    /// The comparisons of one backbone, given by its name, from few labels to many.
    pub fn of(&self, backbone: &str) -> impl Iterator<Item = &Comparison> {
        let backbone = backbone.to_string();
        self.comparisons
            .iter()
            .filter(move |comparison| comparison.backbone == backbone)
    }
}
