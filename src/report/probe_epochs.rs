use e2mc_eval::figures::{Series, line_chart};
use maud::{Markup, PreEscaped, html};

use crate::LabelProbes;

/// Accuracy over the epochs of the probes: one chart per amount of labels, with one curve per
/// backbone, given by its title. Empty without probes.
pub(super) fn probe_epochs_section(backbones: &[(&str, &[LabelProbes])]) -> Markup {
    let amounts = backbones.first().map_or(&[][..], |(_, probes)| probes);
    let charts: Vec<String> = amounts
        .iter()
        .enumerate()
        .filter(|(_, probes)| !probes.over_epochs().is_empty())
        .map(|(row, of_first)| {
            let curves = backbones.iter().filter_map(|(title, probes)| {
                let epochs = probes.get(row)?.over_epochs();
                let points = epochs
                    .into_iter()
                    .map(|(epoch, draws)| (epoch as f64, draws));
                Some(Series::of_trials(*title, points))
            });
            let title = format!("{} of the labels", of_first.labels.title());
            let curves: Vec<_> = curves.collect();
            line_chart(&title, "epoch of the probe", "top-1 accuracy (%)", &curves)
        })
        .collect();
    html! {
        @if !charts.is_empty() {
            section {
                h2 { "Accuracy over the epochs of the probes" }
                @for chart in &charts { (PreEscaped(chart)) }
                p.note {
                    "Top-1 accuracy on the test images: the mean over the draws of labels, with a "
                    "band of one standard deviation on either side."
                }
            }
        }
    }
}
