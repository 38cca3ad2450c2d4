use e2mc_eval::figures::{MarginalsConfig, marginals};
use e2mc_loss::CompactSpace;
use maud::{Markup, PreEscaped, html};

use super::charts::{SMOOTHING, accuracy_groups, curves, monitored, over_steps};
use super::collapse::collapse_section;
use super::criteria::criteria_section;
use super::document::{document, table};
use super::neighbors::neighbors_section;
use super::probe_epochs::probe_epochs_section;
use super::verdict::{VERDICT_NOTE, verdict_sentences};
use super::{accuracy_table, comparison_table, embedding_table};
use crate::plan::{BASE, Start};
use crate::run::could_not_be_read;
use crate::study::RunData;
use crate::{EmbeddingComparison, LabelProbes};

/// The page with a run's results so far: one self-contained file.
pub(crate) fn page(data: &RunData) -> String {
    let plan = &data.plan;
    let title = match &plan.start {
        Start::Checkpoint(_) => format!("Continued pre-training of {}", plan.method.name()),
        Start::Scratch(_) => format!("{} from scratch", plan.method.name()),
    };
    let json = serde_json::to_string_pretty(plan).expect("the plan has a JSON form");
    let body = html! {
        h1 { (title) }
        p.note { (subtitle(data)) }
        @if data.results.is_none() {
            section.running { p { (running(data)) } }
        }
        (collapse_section(data))
        @if !data.measured.is_empty() {
            section {
                h2 { "What training did to the embeddings" }
                (table(&embedding_table(&data.measured, embedding_comparisons(data))))
            }
        }
        (accuracy(data))
        (criteria_section(data))
        (training(data))
        (probe_epochs_section(&probes(data)))
        (neighbors_section(&data.neighbors, embeddings(data)))
        (marginals_section(data))
        (found(data))
        (notes(data))
        section {
            h2 { "Plan" }
            p.note { "The file plan.json of this run. The program reads it with --plan." }
            pre { (json) }
        }
    };
    document(&title, body)
}

fn subtitle(data: &RunData) -> String {
    let plan = &data.plan;
    let branches: Vec<String> = plan.branches.iter().map(|b| b.title()).collect();
    let branches = branches.join(", ");
    let start = match &plan.start {
        Start::Checkpoint(start) => start.path.display().to_string(),
        Start::Scratch(network) => network.backbone.name(),
    };
    format!(
        "{start}; {} epochs, {branches}. Same start, same images in the same order, seed {}.",
        plan.epochs, plan.seed
    )
}

fn running(data: &RunData) -> String {
    let done = data
        .plan
        .branches
        .iter()
        .zip(&data.steps)
        .map(|(branch, steps)| {
            let epochs = steps.last().map_or(0, |step| step.epoch + 1);
            format!("{} in epoch {epochs}", branch.title())
        });
    format!(
        "This run is not finished: {}. The page is written again after each epoch.",
        done.collect::<Vec<_>>().join(", ")
    )
}

fn embedding_comparisons(data: &RunData) -> &[EmbeddingComparison] {
    let results = data.results.as_ref();
    results.map_or(&[], |results| &results.embedding_comparisons)
}

fn accuracy(data: &RunData) -> Markup {
    let probed = data
        .measured
        .iter()
        .any(|backbone| !backbone.probes.is_empty());
    let backbones = probes(data);
    let title = |name: &str| {
        let backbone = data.measured.iter().find(|backbone| backbone.name == name);
        backbone.map_or(name.to_string(), |backbone| backbone.title.clone())
    };
    html! {
        section {
            h2 { "Accuracy" }
            @if probed {
                (table(&accuracy_table(backbones.iter().copied())))
                @if let Some(results) = &data.results {
                    (table(&comparison_table(&results.comparisons, title)))
                    @for sentence in verdict_sentences(&results.verdicts, title) {
                        p.verdict { (sentence) }
                    }
                    @if !results.verdicts.is_empty() { p.note { (VERDICT_NOTE) } }
                }
                (PreEscaped(accuracy_groups(&backbones)))
            } @else if data.results.is_some() {
                p { "Not measured: see \"What was read\"." }
            } @else {
                p { "Not measured yet." }
            }
        }
    }
}

/// The probes of each backbone under its title.
fn probes(data: &RunData) -> Vec<(&str, &[LabelProbes])> {
    let backbones = data.measured.iter();
    backbones.map(|b| (&*b.title, &*b.probes)).collect()
}

/// The vectors whose neighbors are measured.
fn embeddings(data: &RunData) -> &'static str {
    match data.plan.method.compact_space() {
        CompactSpace::Hypersphere => "embeddings of unit length",
        CompactSpace::Hypercube => "embeddings",
    }
}

fn training(data: &RunData) -> Markup {
    let chart = |title: &str, y: &str, of: fn(&crate::StepMetrics) -> Option<f64>| {
        PreEscaped(over_steps(data, title, y, of))
    };
    html! {
        section {
            h2 { "Training" }
            (chart("Base loss", "base loss", |step| Some(step.base_loss)))
            (chart("Marginal entropy of the embeddings", "entropy", |step| Some(step.entropy)))
            p.note { "0 is the maximum: every dimension is uniform on the compact space." }
            (chart("Off-diagonal covariance of the embeddings", "covariance", |step| {
                Some(step.covariance)
            }))
            p.note { "0: all pairs of dimensions are uncorrelated." }
            (chart("Effective rank of the embeddings of a batch", "rank", |step| {
                step.effective_rank
            }))
            p.note { "Curves of single steps are means over " (SMOOTHING) " steps." }
        }
        @if let Some(chart) = curves(data) {
            section {
                h2 { "Accuracy over the epochs of training" }
                (PreEscaped(chart))
                p.note {
                    "Test accuracy of the linear probe: means over the draws of labels, with bands "
                    "of one standard deviation. It chooses nothing: the tables above are of the "
                    "last epoch."
                    @if !data.failed.is_empty() {
                        " Since images could not be read, the points in between may be of other "
                        "draws than the first and the last."
                    }
                }
            }
        }
        @if let Some(chart) = monitored(data) {
            section {
                h2 { "kNN during training" }
                (PreEscaped(chart))
                p.note { "On held-out training images, without test images." }
            }
        }
    }
}

fn marginals_section(data: &RunData) -> Markup {
    let Some([before, after]) = &data.before_and_after else {
        return html! {};
    };
    let space = match data.plan.method.compact_space() {
        CompactSpace::Hypersphere => "the normal distribution function",
        CompactSpace::Hypercube => "the logistic function",
    };
    let last = data.plan.branches.last().map_or(BASE.into(), |b| b.title());
    let (before, after) = (before.values.clone(), after.values.clone());
    html! {
        section {
            h2 { "Two-dimensional marginals: base above, " (last) " below" }
            (PreEscaped(marginals("", before, after, &MarginalsConfig::default())))
            p.note {
                "Random pairs of embedding dimensions, mapped to [0, 1] by " (space) ", of the "
                "same images. An image keeps its color, given by its position before. The more "
                "evenly the points fill the square, the higher the marginal entropy. The less "
                "they line up, the smaller the covariance."
            }
        }
    }
}

/// The program's decisions and findings.
fn found(data: &RunData) -> Markup {
    html! {
        @if !data.decisions.is_empty() {
            section {
                h2 { "What was read" }
                ul { @for line in &data.decisions { li { (line) } } }
            }
        }
    }
}

/// Notes for the user and unreadable images; empty if there are none.
fn notes(data: &RunData) -> Markup {
    let failed = &data.failed;
    html! {
        @if !(failed.is_empty() && data.notes.is_empty()) {
            section {
                h2 { "Notes" }
                @for note in &data.notes { p { (note) } }
                @if !failed.is_empty() {
                    p {
                        (could_not_be_read(failed.len())) ". Each was replaced by another image, "
                        "the same in all branches."
                    }
                    table {
                        thead { tr { th { "image" } th.why { "why" } } }
                        tbody { @for image in failed {
                            tr { td { (image.name) } td.why { (image.reason) } }
                        } }
                    }
                }
            }
        }
    }
}
