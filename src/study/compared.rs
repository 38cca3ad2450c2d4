//! Comparisons of the backbones of a study.

use super::{BackboneResults, Study};
use crate::plan::BASE;
use crate::probing::{PredictedBackbone, compare};
use crate::{Comparison, EmbeddingComparison, Result, Verdict};

impl<M> Study<M> {
    /// Every branch against the reference, and the reference against the base.
    pub(super) fn comparisons(&self, backbones: &[BackboneResults]) -> Result<Vec<Comparison>> {
        let find = |name: &str| {
            let found = backbones.iter().find(|backbone| backbone.name == name);
            found.map(|backbone| PredictedBackbone {
                name: &backbone.name,
                probes: backbone.probes.iter().map(Into::into).collect(),
                labels: &backbone.test_labels,
            })
        };
        let mut all = Vec::new();
        for (backbone, against) in self.pairs(backbones) {
            if let (Some(backbone), Some(against)) = (find(backbone), find(against)) {
                all.extend(compare(&backbone, &against, self.plan.seed)?);
            }
        }
        Ok(all)
    }

    /// The same of the embeddings.
    pub(super) fn embedding_comparisons(
        &self,
        backbones: &[BackboneResults],
    ) -> Result<Vec<EmbeddingComparison>> {
        let find = |name: &str| backbones.iter().find(|backbone| backbone.name == name);
        let mut all = Vec::new();
        for (name, against) in self.pairs(backbones) {
            if let (Some(backbone), Some(reference)) = (find(name), find(against)) {
                let pair = [(name, backbone), (against, reference)];
                let [backbone, reference] = pair.map(|(name, of)| (name, &of.embeddings));
                all.extend(EmbeddingComparison::all(backbone, reference)?);
            }
        }
        Ok(all)
    }

    /// The verdict on every branch with a criterion.
    pub(super) fn verdicts(&self, comparisons: &[Comparison]) -> Result<Vec<Verdict>> {
        let branches = self.plan.branches.iter();
        let verdicts = branches
            .filter(|b| !b.is_without_criterion())
            .map(|branch| {
                let of_branch = comparisons.iter().filter(|c| c.backbone == branch.name);
                Verdict::of(&of_branch.collect::<Vec<_>>())
            });
        verdicts.filter_map(Result::transpose).collect()
    }

    /// The names of every backbone except the base, with the name of its reference.
    fn pairs<'a>(
        &'a self,
        backbones: &'a [BackboneResults],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let reference = self.plan.reference();
        let others = backbones.iter().filter(|backbone| backbone.name != BASE);
        others.map(move |backbone| match &*backbone.name {
            name if name == reference => (name, BASE),
            name => (name, reference),
        })
    }
}
