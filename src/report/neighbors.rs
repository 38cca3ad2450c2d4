use e2mc_eval::diagnostics::NeighborDistances;
use e2mc_eval::figures::distance_histograms;
use maud::{Markup, PreEscaped, html};

/// Figure 3: the distances to two neighbors for each backbone's title. Empty without backbones.
/// `vectors` names the measured vectors.
pub(super) fn neighbors_section(
    backbones: &[(String, NeighborDistances)],
    vectors: &str,
) -> Markup {
    html! {
        @if !backbones.is_empty() {
            section {
                h2 { "Distances to neighbors" }
                (PreEscaped(distance_histograms("", backbones)))
                p.note {
                    "Distances of " (vectors) " to the nearest other one and to a farther one, for "
                    "up to 2000 test images. Overlap: 1 minus the Kolmogorov-Smirnov distance of "
                    "the two distributions. The smaller it is, the better near images are "
                    "separated from others."
                }
            }
        }
    }
}
