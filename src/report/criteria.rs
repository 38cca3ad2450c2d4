use std::mem::discriminant;

use e2mc_eval::figures::{TableRow, heat_map, table};
use e2mc_loss::E2mcLossConfig;
use maud::{Markup, PreEscaped, html};
use ssl_methods::criterion::CriterionConfig;

use crate::BackboneResults;
use crate::study::RunData;

/// A table of the criteria (Table 3) if a study has several, and a heat map over the weights of
/// E2MC (Table D.2) if it has several weights.
pub(super) fn criteria_section(data: &RunData) -> Markup {
    let Some(first) = data
        .measured
        .iter()
        .find(|backbone| !backbone.probes.is_empty())
    else {
        return html! {};
    };
    let amounts: Vec<String> = first
        .probes
        .iter()
        .map(|probes| probes.labels.title())
        .collect();
    let maps: Vec<String> = (0..amounts.len())
        .filter_map(|row| over_weights(data, row))
        .collect();
    html! {
        @if are_several(data) {
            section {
                h2 { "Criteria" }
                (PreEscaped(of_criteria(data, &amounts)))
                p.note {
                    "Top-1 accuracy in % by the labels of the probe: mean ± standard deviation "
                    "over the draws. The highest mean of a column is in bold, whether or not its "
                    "difference from the others is significant."
                }
            }
        }
        @if !maps.is_empty() {
            section {
                h2 { "Weights of E2MC" }
                @for map in &maps { (PreEscaped(map)) }
                p.note { "Mean top-1 accuracy in % over the draws of labels." }
            }
        }
    }
}

/// Whether branches have at least two kinds of criteria, not counting none.
fn are_several(data: &RunData) -> bool {
    let branches = data.plan.branches.iter();
    let mut kinds = branches
        .filter(|branch| !branch.is_without_criterion())
        .map(|branch| discriminant(&branch.criterion));
    kinds
        .next()
        .is_some_and(|first| kinds.any(|other| other != first))
}

fn of_criteria(data: &RunData, amounts: &[String]) -> String {
    let rows: Vec<TableRow> = data
        .measured
        .iter()
        .map(|backbone| {
            let of = |row: usize| backbone.probes.get(row)?.summary().ok();
            TableRow {
                name: backbone.title.clone(),
                values: (0..amounts.len()).map(of).collect(),
            }
        })
        .collect();
    table("", amounts, &rows)
}

/// Accuracies at the amount of labels in this row, over the weights of E2MC. None without several
/// weights.
fn over_weights(data: &RunData, row: usize) -> Option<String> {
    let branches = data.plan.branches.iter().filter_map(|branch| {
        let CriterionConfig::E2mc(E2mcLossConfig {
            entropy_weight,
            covariance_weight,
            ..
        }) = branch.criterion
        else {
            return None;
        };
        Some(((entropy_weight, covariance_weight), &branch.name))
    });
    let branches: Vec<((f64, f64), &String)> = branches.collect();
    if branches.len() < 2 {
        return None;
    }
    let sorted = |weights: Vec<f64>| {
        let mut weights = weights;
        weights.sort_by(f64::total_cmp);
        weights.dedup();
        weights
    };
    let entropies = sorted(branches.iter().map(|(weights, _)| weights.0).collect());
    let covariances = sorted(branches.iter().map(|(weights, _)| weights.1).collect());
    let accuracy =
        |backbone: &BackboneResults| Some(backbone.probes.get(row)?.summary().ok()?.mean);
    let value = |entropy: f64, covariance: f64| {
        let (_, name) = branches
            .iter()
            .find(|(at, _)| *at == (entropy, covariance))?;
        accuracy(
            data.measured
                .iter()
                .find(|backbone| backbone.name == **name)?,
        )
    };
    let cells = entropies.iter().flat_map(|&entropy| {
        let cell = move |&covariance: &f64| value(entropy, covariance).unwrap_or(f64::NAN);
        covariances.iter().map(cell)
    });
    let values: Vec<f64> = cells.collect();
    let labels = data
        .measured
        .iter()
        .find_map(|backbone| backbone.probes.get(row))?;
    let names = |weights: &[f64]| weights.iter().map(f64::to_string).collect::<Vec<_>>();
    Some(heat_map(
        &format!("{} of the labels", labels.labels.title()),
        "weight of the covariance",
        "weight of the entropy",
        &names(&entropies),
        &names(&covariances),
        &values,
    ))
}
