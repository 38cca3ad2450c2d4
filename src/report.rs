//! The page that shows what a study found: one file without links to others.

use burn::tensor::Tensor;
use e2mc_data::FailedRead;
use e2mc_eval::figures::{
    AccuracyGroup, MarginalsConfig, Series, accuracy_chart, line_chart, marginals,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::failed_reads::could_not_be_read;
use crate::results::{Branch, StudyResults};
use crate::table::{CAPTION, HEADINGS, rows};
use crate::{StepMetrics, StudyConfig};

/// Steps over which the curves are averaged.
const SMOOTHING: usize = 9;

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; background: #f5f6f8; margin: 0; }
main { max-width: 980px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 0 0 8px; }
section { background: #fff; border: 1px solid #e1e5ea; border-radius: 8px; padding: 20px 24px; margin-top: 20px; }
table { border-collapse: collapse; width: 100%; } th, td { padding: 6px 10px; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #52606d; font-weight: 600; } td { border-bottom: 1px solid #e1e5ea; }
th:first-child, td:first-child { text-align: left; }
th.why, td.why { text-align: left; }
td.why { white-space: normal; overflow-wrap: anywhere; }
p { margin: 8px 0; } .note { color: #52606d; font-size: 14px; } svg { width: 100%; height: auto; display: block; }
pre { font-size: 13px; overflow: auto; background: #f5f6f8; padding: 12px; border-radius: 6px; }
";

/// What the page shows.
pub(crate) struct Page<'a> {
    pub(crate) config: &'a StudyConfig,
    pub(crate) results: &'a StudyResults,
    pub(crate) steps: &'a [StepMetrics],
    /// Embeddings of some images on the compact space, `[n, d]`, before the training with E2MC ...
    pub(crate) before: Tensor<2>,
    /// ... and those of the same images after it.
    pub(crate) after: Tensor<2>,
    /// What the user should know.
    pub(crate) notes: &'a [String],
    /// The images that could not be read.
    pub(crate) failed: &'a [FailedRead],
}

/// The page.
pub(crate) fn report(page: &Page) -> String {
    let Page {
        config, results, ..
    } = page;
    let curve = |of: fn(&StepMetrics) -> f64, branch: Branch| {
        let points = page
            .steps
            .iter()
            .filter(|step| step.branch == branch.key())
            .map(|step| (step.step as f64, of(step)));
        Series::new(branch.title(), points).with_smoothing(SMOOTHING)
    };
    let chart = |title: &str, y: &str, of: fn(&StepMetrics) -> f64| {
        let continued = curve(of, Branch::Continued);
        let level = continued.points.first().map_or(f64::NAN, |&(_, y)| y);
        let ends = [continued.points.first(), continued.points.last()];
        let base = ends.into_iter().flatten().map(|&(x, _)| (x, level));
        let base = Series::new(format!("{}, first batch", Branch::Base.title()), base);
        let series = [base, continued, curve(of, Branch::E2mc)];
        line_chart(title, "step", y, &series)
    };
    let space = match config.criterion.space {
        e2mc_loss::CompactSpace::Hypersphere => "the normal distribution function",
        e2mc_loss::CompactSpace::Hypercube => "the logistic function",
    };
    let json = serde_json::to_string_pretty(config).expect("the configuration has a JSON form");
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "E2MC: what continued training brought" }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { "What continued training brought" }
                p.note {
                    (config.checkpoint.display()) ", continued for " (config.epochs) " epochs: with its base loss alone, and with E2MC beside it "
                    "(entropy weight " (config.criterion.entropy_weight) ", covariance weight "
                    (config.criterion.covariance_weight) "). Same start, same pictures in the same order, seed " (config.seed) "."
                }
                @if results.e2mc_against_continued.is_empty() {
                    section {
                        h2 { "Accuracy" }
                        p { "Not measured: the images have no labels." }
                    }
                } @else {
                    section {
                        h2 { "Accuracy" }
                        (results_table(results))
                        p.note { (CAPTION) }
                        (PreEscaped(accuracies(results)))
                    }
                }
                section {
                    h2 { "Training" }
                    (PreEscaped(chart("Base loss", "base loss", StepMetrics::base_loss)))
                    (PreEscaped(chart("Marginal entropy of the embeddings", "entropy", |step| step.entropy)))
                    p.note { "0 is the most there can be: every dimension uniform on the compact space." }
                    (PreEscaped(chart("Off-diagonal covariance of the embeddings", "covariance", |step| step.covariance)))
                    p.note { "0: every pair of dimensions uncorrelated. Curves are means over " (SMOOTHING) " steps." }
                }
                section {
                    h2 { "Two-dimensional marginals, before and after E2MC" }
                    (PreEscaped(marginals("", page.before.clone(), page.after.clone(), &MarginalsConfig::default())))
                    p.note {
                        "Random pairs of embedding dimensions, mapped to [0, 1] by " (space)
                        ", of the same images. Colour follows an image: it is given by its place before. "
                        "The more evenly the points fill the square, the higher the marginal entropy; the less they line up, the smaller the covariance."
                    }
                }
                (notes_section(page))
                section {
                    h2 { "Configuration" }
                    pre { (json) }
                }
            } }
        }
    };
    html.into_string()
}

/// What the user should know, and the images that could not be read; nothing if all was well.
fn notes_section(page: &Page) -> Markup {
    let failed = page.failed;
    html! {
        @if !(failed.is_empty() && page.notes.is_empty()) {
            section {
                h2 { "Notes" }
                @for note in page.notes { p { (note) } }
                @if !failed.is_empty() {
                    p { (could_not_be_read(failed.len())) ". Wherever one of them was due, another took its place, the same in all branches." }
                    table {
                        thead { tr { th { "image" } th.why { "why" } } }
                        tbody { @for image in failed { tr { td { (image.name) } td.why { (image.reason) } } } }
                    }
                }
            }
        }
    }
}

fn results_table(results: &StudyResults) -> Markup {
    html! {
        table {
            thead { tr { @for heading in HEADINGS { th { (heading) } } } }
            tbody {
                @for row in rows(results) {
                    tr { @for cell in row { td { (cell) } } }
                }
            }
        }
    }
}

fn accuracies(results: &StudyResults) -> String {
    let fractions = results.e2mc_against_continued.iter().enumerate();
    let groups: Vec<AccuracyGroup> = fractions
        .map(|(row, comparison)| {
            let group = AccuracyGroup::new(format!("{} of the labels", comparison.fraction));
            results
                .probes
                .iter()
                .fold(group, |group, (branch, probes)| {
                    match probes[row].summary() {
                        Ok(summary) => group.with(branch.title(), summary),
                        Err(_) => group,
                    }
                })
        })
        .collect();
    accuracy_chart("", "top-1 accuracy (%)", &groups)
}
