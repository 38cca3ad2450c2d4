use e2mc_eval::statistics::Summary;
use serde::Serialize;

use crate::{Comparison, FinetuneResults, KnnEvaluation, LabelProbes, SvmEvaluation};

/// With more draws than this, p-values are counted instead of listed.
const LISTED_DRAWS: usize = 3;

/// A table of text, to be drawn in a terminal or on a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Headings; the first column names the row.
    pub headings: Vec<String>,
    /// Cells, as many per row as there are headings.
    pub rows: Vec<Vec<String>>,
    /// What the table shows, in a sentence or two under it.
    pub caption: &'static str,
}

/// Accuracies: one row per amount of labels, one column per backbone, given by its title.
pub fn accuracy_table<'a>(
    backbones: impl IntoIterator<Item = (&'a str, &'a [LabelProbes])>,
) -> Table {
    let backbones: Vec<_> = backbones.into_iter().collect();
    let titles = backbones.iter().map(|(title, _)| title.to_string());
    let first = backbones.first().map_or(&[][..], |(_, probes)| probes);
    let rows = first.iter().enumerate().map(|(row, of_first)| {
        let accuracy = |(_, probes): &(&str, &[LabelProbes])| {
            let summary = probes.get(row).and_then(|probes| probes.summary().ok());
            summary.map_or("-".into(), |summary| summary.to_string())
        };
        let cells = backbones.iter().map(accuracy);
        [of_first.labels.title()].into_iter().chain(cells).collect()
    });
    Table {
        headings: ["labels".to_string()].into_iter().chain(titles).collect(),
        rows: rows.collect(),
        caption: "Top-1 accuracy in % of a linear probe on the frozen backbone, on the test \
                  images: mean ± standard deviation over the draws of labels.",
    }
}

/// Comparisons: one row per amount of labels and backbone. `title` maps a backbone's name to its
/// title.
pub fn comparison_table(comparisons: &[Comparison], title: impl Fn(&str) -> String) -> Table {
    let rows = comparisons.iter().map(|comparison| {
        let (interval, p_draws) = match &comparison.over_draws {
            Some(test) => {
                let [low, high] = test.interval_95;
                (format!("{low:+.2} to {high:+.2}"), p_value(test.p_value))
            }
            None => ("-".into(), "-".into()),
        };
        vec![
            comparison.probe.clone(),
            title(&comparison.backbone),
            title(&comparison.reference),
            signed(&comparison.difference),
            interval,
            p_draws,
            over_images(comparison),
        ]
    });
    let headings = [
        "labels",
        "backbone",
        "against",
        "gain",
        "95% interval",
        "p, draws",
        "p, images",
    ];
    Table {
        headings: headings.map(String::from).to_vec(),
        rows: rows.collect(),
        caption: "Gain in accuracy in percentage points: mean ± standard deviation over the draws. \
                  The interval and \"p, draws\" (paired t test) ask whether other draws of labels \
                  would show it. \"p, images\" (McNemar, for each draw) asks whether other test \
                  images would show it.",
    }
}

/// McNemar's p for each draw, or the number below 5% if there are many draws.
fn over_images(comparison: &Comparison) -> String {
    let draws = comparison.draws.iter();
    let values: Vec<f64> = draws.map(|draw| draw.tests.mcnemar.p_value).collect();
    if values.len() <= LISTED_DRAWS {
        return values
            .into_iter()
            .map(p_value)
            .collect::<Vec<_>>()
            .join(", ");
    }
    let small = values.iter().filter(|&&p| p < 0.05).count();
    format!("<.05 in {small} of {}", values.len())
}

/// The paper's Table D.1: one row per classifier and draw of labels.
pub fn significance_table(comparisons: &[Comparison]) -> Table {
    let rows = comparisons.iter().flat_map(|comparison| {
        let several = comparison.draws.len() > 1;
        comparison.draws.iter().enumerate().map(move |(i, draw)| {
            let [low, high] = draw.interval_95;
            let tests = &draw.tests;
            let name = &comparison.probe;
            vec![
                match several {
                    true => format!("{name}, draw {}", i + 1),
                    false => name.clone(),
                },
                format!("{:.2}", draw.accuracy_before),
                format!("{:.2}", draw.accuracy_after),
                format!("{:+.2}", draw.accuracy_after - draw.accuracy_before),
                format!("{low:+.2} to {high:+.2}"),
                p_value(tests.permutation.p_value),
                format!("{:.2}", tests.mcnemar.chi_squared),
                p_value(tests.mcnemar.p_value),
                tests.cohens_d.map_or("-".into(), |d| format!("{d:+.4}")),
            ]
        })
    });
    let headings = [
        "labels",
        "before",
        "after",
        "difference",
        "95% interval",
        "p, permuted",
        "chi^2",
        "p, McNemar",
        "Cohen's d",
    ];
    Table {
        headings: headings.map(String::from).to_vec(),
        rows: rows.collect(),
        caption: "Top-1 accuracy in %, and the difference in percentage points with its bootstrap \
                 interval. p of the paired permutation test; chi^2 and p of McNemar's test. Each \
                 row has one draw of labels, so it asks whether other test images would show the \
                 same difference.",
    }
}

/// Accuracies of kNN classifiers: one row per amount of labels and number of neighbors.
pub fn knn_table(found: &KnnEvaluation) -> Table {
    let rows = found.rows.iter().map(|row| {
        let accuracy = row.accuracy.to_string();
        vec![row.labels.title(), row.k.to_string(), accuracy]
    });
    Table {
        headings: ["labels", "neighbors", "accuracy"]
            .map(String::from)
            .to_vec(),
        rows: rows.collect(),
        caption: "Top-1 accuracy in % on the test images, by a vote of the nearest training images \
                 (cosine similarity): mean ± standard deviation over the draws of labels.",
    }
}

/// Accuracies after fine-tuning: one row per amount of labels.
pub fn finetune_table(found: &FinetuneResults) -> Table {
    let rows = found.rows.iter().map(|row| {
        let error = row.standard_error;
        vec![
            row.labels.title(),
            row.top1.to_string(),
            error.map_or("-".into(), |error| format!("{error:.2}")),
            row.best_top1.to_string(),
            row.top5.to_string(),
        ]
    });
    let headings = [
        "labels",
        "top-1",
        "standard error",
        "top-1, best epoch",
        "top-5",
    ];
    Table {
        headings: headings.map(String::from).to_vec(),
        rows: rows.collect(),
        caption: "Accuracy in % of backbone and classifier fine-tuned together, on the test images \
                  after the last epoch (and the best one): mean ± standard deviation over the \
                  draws. Standard error: of the mean of top-1.",
    }
}

/// Average precisions of linear SVMs: one row per class, and their mean.
pub fn svm_table(found: &SvmEvaluation) -> Table {
    let percent = |precision: Option<f64>| {
        precision.map_or("-".into(), |precision| format!("{:.2}", 100.0 * precision))
    };
    let result = &found.result;
    let classes = found.classes.iter().zip(&result.classes);
    let rows = classes.map(|(name, class)| {
        let [area, eleven] = [class.average_precision, class.eleven_point].map(percent);
        vec![name.clone(), class.cost.to_string(), area, eleven]
    });
    let means = [result.mean_average_precision, result.mean_eleven_point];
    let [area, eleven] = means.map(|mean| percent(Some(mean)));
    let mean = vec!["mean".into(), "-".into(), area, eleven];
    Table {
        headings: ["class", "C", "AP", "AP, 11 points"]
            .map(String::from)
            .to_vec(),
        rows: rows.chain([mean]).collect(),
        caption: "Average precision in % of a linear SVM for each class on the test images, as the \
                 area under the curve and by VOC07's 11 points. Objects marked as difficult do not \
                 count in the test. A class without a test image has no average precision.",
    }
}

fn signed(summary: &Summary) -> String {
    match summary.std {
        Some(std) => format!("{:+.2} ± {std:.2}", summary.mean),
        None => format!("{:+.2}", summary.mean),
    }
}

/// A p-value to three decimals.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "<.001".into(),
        p => format!("{p:.3}"),
    }
}
