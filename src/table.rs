use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use e2mc_eval::statistics::Summary;

use crate::results::StudyResults;

/// The headings of the results' table.
pub(crate) const HEADINGS: [&str; 6] = [
    "labels",
    "base",
    "continued",
    "+ E2MC",
    "gain over continued",
    "McNemar p",
];

/// The cells of the results' table, one row per fraction of the labels.
pub(crate) fn rows(results: &StudyResults) -> Vec<[String; 6]> {
    let comparisons = results.e2mc_against_continued.iter();
    comparisons
        .enumerate()
        .map(|(row, comparison)| {
            let accuracy = |branch: usize| {
                let probes = &results.probes[branch].1[row];
                probes.summary().map_or("-".into(), |s| accuracy(&s))
            };
            let p_values: Vec<String> = comparison
                .tests
                .iter()
                .map(|test| p_value(test.mcnemar.p_value))
                .collect();
            [
                comparison.fraction.to_string(),
                accuracy(0),
                accuracy(1),
                accuracy(2),
                signed(&comparison.difference),
                p_values.join(", "),
            ]
        })
        .collect()
}

/// What the table shows, in a line under it.
pub(crate) const CAPTION: &str = "Top-1 accuracy in % of a linear probe on the frozen backbone, on the test images: mean ± standard deviation over \
     the draws of labels. Gain and p compare + E2MC with continued, p for each draw.";

pub(crate) fn table(results: &StudyResults) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(HEADINGS);
    for row in rows(results) {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{CAPTION}")
}

fn accuracy(summary: &Summary) -> String {
    match summary.std {
        Some(std) => format!("{:.2} ± {std:.2}", summary.mean),
        None => format!("{:.2}", summary.mean),
    }
}

fn signed(summary: &Summary) -> String {
    match summary.std {
        Some(std) => format!("{:+.2} ± {std:.2}", summary.mean),
        None => format!("{:+.2}", summary.mean),
    }
}

fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "<.001".into(),
        p => format!("{p:.3}"),
    }
}
