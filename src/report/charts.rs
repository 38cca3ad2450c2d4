use e2mc_eval::figures::{AccuracyGroup, Series, accuracy_chart, line_chart};
use e2mc_eval::statistics::Summary;

use crate::plan::BASE;
use crate::study::RunData;
use crate::{LabelProbes, StepMetrics};

/// Number of steps that each point of a curve averages.
pub(super) const SMOOTHING: usize = 9;

/// A chart with one curve over the steps for each branch.
pub(super) fn over_steps(
    data: &RunData,
    title: &str,
    y: &str,
    of: impl Fn(&StepMetrics) -> Option<f64>,
) -> String {
    let branches = data.plan.branches.iter().zip(&data.steps);
    let series: Vec<Series> = branches
        .map(|(branch, steps)| {
            let points: Vec<_> = steps
                .iter()
                .filter_map(|step| Some((step.step as f64, of(step)?)))
                .collect();
            // Values that are not measured at every step need no smoothing.
            let smoothing = if points.len() < steps.len() {
                1
            } else {
                SMOOTHING
            };
            Series::new(branch.title(), points).with_smoothing(smoothing)
        })
        .collect();
    line_chart(title, "step", y, &series)
}

/// kNN accuracy over the epochs for each branch. None if nothing was monitored.
pub(super) fn monitored(data: &RunData) -> Option<String> {
    if data.monitored.iter().all(Vec::is_empty) {
        return None;
    }
    let branches = data.plan.branches.iter().zip(&data.monitored);
    let series: Vec<Series> = branches
        .map(|(branch, lines)| {
            let points = lines.iter().map(|line| (line.epoch as f64, line.knn));
            Series::new(branch.title(), points)
        })
        .collect();
    Some(line_chart("", "epoch", "kNN accuracy (%)", &series))
}

/// Figure 4: accuracy of the probe with the fewest labels over the epochs of training, from the
/// base to the trained backbone. None if nothing was probed in between.
pub(super) fn curves(data: &RunData) -> Option<String> {
    let labels = &data.curves.iter().flatten().next()?.labels;
    let measured = |name: &str| {
        let backbone = data.measured.iter().find(|of| of.name == name)?;
        let probe = backbone.probes.iter().find(|of| of.labels == *labels)?;
        probe.summary().ok()
    };
    let base = measured(BASE).map(|summary| (0.0, summary));
    let branches = data.plan.branches.iter().zip(&data.curves);
    let series: Vec<Series> = branches
        .map(|(branch, lines)| {
            let between = lines
                .iter()
                .filter_map(|line| Some((line.epoch as f64, Summary::of(&line.accuracies).ok()?)));
            let end = measured(&branch.name).map(|summary| (data.plan.epochs as f64, summary));
            Series::of_trials(branch.title(), base.into_iter().chain(between).chain(end))
        })
        .collect();
    let y = format!("top-1 accuracy (%) with {} of the labels", labels.title());
    Some(line_chart("", "epoch", &y, &series))
}

/// The accuracies of all backbones, given by their titles: one panel per amount of labels.
pub(super) fn accuracy_groups(backbones: &[(&str, &[LabelProbes])]) -> String {
    let labels = backbones.first().map_or(&[][..], |(_, probes)| probes);
    let groups: Vec<AccuracyGroup> = labels
        .iter()
        .enumerate()
        .map(|(row, of_first)| {
            let group = AccuracyGroup::new(format!("{} of the labels", of_first.labels.title()));
            backbones.iter().fold(group, |group, (title, probes)| {
                let summary = probes.get(row).and_then(|p| p.summary().ok());
                match summary {
                    Some(summary) => group.with(*title, summary),
                    None => group,
                }
            })
        })
        .collect();
    accuracy_chart("", "top-1 accuracy (%)", &groups)
}
