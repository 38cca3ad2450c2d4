use serde::{Deserialize, Serialize};

use super::BackboneResults;
use crate::{Comparison, EmbeddingComparison, Verdict};

/// The results of a study: `results.json` of the run folder, written last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyResults {
    /// Every backbone: the base, unless training began from scratch, then the branches in the
    /// plan's order.
    pub backbones: Vec<BackboneResults>,
    /// Every branch against the reference, and the reference against the base. The reference is the
    /// first branch without a criterion, or else the base.
    pub comparisons: Vec<Comparison>,
    /// The same comparisons of the embeddings.
    pub embedding_comparisons: Vec<EmbeddingComparison>,
    /// The verdict on every branch with a criterion.
    pub verdicts: Vec<Verdict>,
}

impl StudyResults {
    /// The comparisons of the named backbone, from few labels to many.
    pub fn of(&self, backbone: &str) -> impl Iterator<Item = &Comparison> {
        let backbone = backbone.to_string();
        self.comparisons
            .iter()
            .filter(move |comparison| comparison.backbone == backbone)
    }
}
