use e2mc_eval::diagnostics::NeighborDistances;
use maud::{PreEscaped, html};

use super::charts::accuracy_groups;
use super::document::{document, table};
use super::neighbors::neighbors_section;
use super::probe_epochs::probe_epochs_section;
use super::{accuracy_table, comparison_table, significance_table};
use crate::{Comparison, LabelProbes};

/// The page of a comparison of two backbones. `probes` and `neighbors` have each backbone's name
/// with its probes and its features' distances; both are empty if only predictions are known.
pub(crate) fn comparison_page(
    title: &str,
    probes: &[(String, Vec<LabelProbes>)],
    neighbors: &[(String, NeighborDistances)],
    comparisons: &[Comparison],
) -> String {
    let probed: Vec<(&str, &[LabelProbes])> = probes
        .iter()
        .map(|(name, probes)| (&**name, &**probes))
        .collect();
    document(
        "Two backbones compared",
        html! {
            h1 { "Two backbones compared" }
            p.note { "before and after: " (title) }
            @if !probed.is_empty() {
                section {
                    h2 { "Accuracy" }
                    (table(&accuracy_table(probed.iter().copied())))
                    (PreEscaped(accuracy_groups(&probed)))
                }
            }
            section {
                h2 { "Difference over the draws" }
                (table(&comparison_table(comparisons, str::to_string)))
            }
            section {
                h2 { "Difference on the images of each draw" }
                (table(&significance_table(comparisons)))
            }
            (probe_epochs_section(&probed))
            (neighbors_section(neighbors, "features"))
        },
    )
}
