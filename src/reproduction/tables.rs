//! The paper's tables beside ours.

use e2mc_eval::figures::heat_map;
use e2mc_eval::statistics::Summary;

use super::found::{Found, cell, differences, signed};
use super::jobs::{
    CRITERIA as CRITERIA_RUN, MAIN, WEIGHT_GRID, are_main_weights, folder, weights_branch,
};
use super::published::{CRITERIA, ROWS, WEIGHTS};
use super::{BaseName, Direction};
use crate::report::{Section, Table, significance_table};
use crate::{Comparison, Result};

const LABELS: [&str; 3] = ["1%", "10%", "100%"];
/// Fine-tuning uses the first two amounts.
const TUNED_LABELS: usize = 2;
/// Caption of tables of accuracies.
const OURS: &str = "Top-1 accuracy in %. Paper: ImageNet, mean of three trials. Ours: mean ± \
    standard deviation over the seeds of the continued training (the base has one training; its \
    spread is that of the draws of labels).";

/// Headings for each amount of labels: the paper's value, and ours.
fn headings(first: &str, labels: &[&str]) -> Vec<String> {
    let pairs = labels
        .iter()
        .flat_map(|l| [format!("{l}, paper"), format!("{l}, ours")]);
    [first.to_string()].into_iter().chain(pairs).collect()
}

/// Table 1: linear probes.
pub(super) fn table_1(found: &Found) -> Result<Section> {
    let mut direction = Direction::default();
    let rows = ROWS.iter().map(|row| {
        let cells = (0..LABELS.len()).flat_map(|labels| {
            let ours = found.accuracy(row.base, MAIN, row.backbone, labels);
            [format!("{:.2}", row.linear[labels]), cell(&ours)]
        });
        [row.title.to_string()].into_iter().chain(cells).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    for base in BaseName::ALL {
        let paper = |backbone: &str| {
            let row = ROWS
                .iter()
                .find(|row| row.base == base && row.backbone == backbone);
            row.expect("the paper has every base with every backbone")
                .linear
        };
        let [with, without] = ["e2mc", "continued"].map(paper);
        for labels in 0..LABELS.len() {
            let ours = found.gain(base, ["e2mc", "continued"], labels);
            direction.count(with[labels] - without[labels], &ours)?;
        }
    }
    Ok(Section {
        title: "Table 1: linear probes".into(),
        line: format!("+ E2MC minus continued. {direction}"),
        table: Some(Table {
            headings: headings("", &LABELS),
            rows,
            caption: OURS,
        }),
        figure: None,
    })
}

/// Table 2: fine-tuning, and transfer to data sets that the user must provide.
pub(super) fn table_2(found: &Found) -> Result<Section> {
    let mut direction = Direction::default();
    let mut beyond = Vec::new();
    let tuned = ROWS.iter().filter(|row| row.base != BaseName::SimSiam);
    let rows = tuned.map(|row| {
        let cells = (0..TUNED_LABELS).flat_map(|labels| {
            let ours = found.finetuned(row.base, row.backbone, labels);
            // The paper does not fine-tune *continued*.
            let paper = row.finetuned.map(|paper| format!("{:.2}", paper[labels]));
            [paper.unwrap_or("-".into()), cell(&ours)]
        });
        let transfer = row.transfer.map_or(["-".into(), "-".into()], |of| {
            of.map(|value| format!("{value:.2}"))
        });
        let title = [row.title.to_string()].into_iter();
        title.chain(cells).chain(transfer).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    for base in [BaseName::VicReg, BaseName::Swav] {
        let row = |backbone: &str| {
            let mut rows = ROWS.iter();
            let row = rows.find(|row| row.base == base && row.backbone == backbone);
            row.expect("both are in the table")
        };
        let [after, before] = ["e2mc", "base"].map(|backbone| {
            let paper = row(backbone).finetuned;
            paper.expect("the paper fine-tunes both")
        });
        for labels in 0..TUNED_LABELS {
            let [with, without, continued] = ["e2mc", "base", "continued"]
                .map(|backbone| found.finetuned(base, backbone, labels));
            let ours = differences(&with, &without);
            direction.count(after[labels] - before[labels], &ours)?;
            beyond.push(format!(
                "{} at {} {}",
                row("base").title,
                LABELS[labels],
                signed(&differences(&with, &continued))
            ));
        }
    }
    let mut headings = headings("", &LABELS[..TUNED_LABELS]);
    let beyond = beyond.join(", ");
    headings.extend(["iNat18, paper", "VOC07, paper"].map(String::from));
    Ok(Section {
        title: "Table 2: semi-supervised fine-tuning and transfer".into(),
        line: format!(
            "+ E2MC minus the base, fine-tuned. {direction} + E2MC minus continued, which the \
             paper does not fine-tune: {beyond}."
        ),
        table: Some(Table {
            headings,
            rows,
            caption: "Top-1 accuracy in % (VOC07: mAP). Ours: mean ± standard deviation over the \
                      seeds, with three draws of labels each. iNaturalist 2018 and VOC07 need \
                      their images: see e2mc svm, and e2mc_eval::map_probe.",
        }),
        figure: None,
    })
}

/// Table 3: SwAV with other criteria.
pub(super) fn table_3(found: &Found) -> Result<Section> {
    let swav = BaseName::Swav;
    let of = |branch: &str, labels| {
        let what = if branch == "e2mc" { MAIN } else { CRITERIA_RUN };
        found.accuracy(swav, what, branch, labels)
    };
    let mut direction = Direction::default();
    let (_, _, ours) = CRITERIA[CRITERIA.len() - 1];
    for (branch, _, other) in &CRITERIA[..CRITERIA.len() - 1] {
        for labels in 0..LABELS.len() {
            let gains = differences(&of("e2mc", labels), &of(branch, labels));
            direction.count(ours[labels] - other[labels], &gains)?;
        }
    }
    let rows = CRITERIA.iter().map(|(branch, title, paper)| {
        let cells = (0..LABELS.len())
            .flat_map(|labels| [format!("{:.2}", paper[labels]), cell(&of(branch, labels))]);
        [title.to_string()].into_iter().chain(cells).collect()
    });
    Ok(Section {
        title: "Table 3: other criteria beside SwAV".into(),
        line: format!("+ E2MC minus each other criterion. {direction}"),
        table: Some(Table {
            headings: headings("", &LABELS),
            rows: rows.collect(),
            caption: OURS,
        }),
        figure: None,
    })
}

/// Table D.1: significance over the test images, of SwAV's first seed.
pub(super) fn table_d1(found: &Found) -> Result<Section> {
    let first = found.studies.get(&folder(BaseName::Swav, MAIN, 0));
    let comparisons: Vec<Comparison> = first.map_or(Vec::new(), |results| {
        let mut all: Vec<Comparison> = results.of("e2mc").cloned().collect();
        for comparison in &mut all {
            // Only the first draw of each amount of labels, to keep the table short.
            comparison.draws.truncate(1);
        }
        all
    });
    let significant = comparisons.iter().flat_map(|comparison| &comparison.draws);
    let count = significant
        .clone()
        .filter(|draw| draw.tests.mcnemar.p_value < 0.05)
        .count();
    Ok(Section {
        title: "Table D.1: significance over the test images".into(),
        line: format!(
            "SwAV + E2MC against continued, seed 0, first draw of labels: {count} of {} \
             differences have p < 0.05 (McNemar). The paper's values are not recorded here.",
            significant.count()
        ),
        table: Some(significance_table(&comparisons)),
        figure: None,
    })
}

/// Table D.2: the weights of entropy and covariance.
pub(super) fn table_d2(found: &Found) -> Result<Section> {
    let swav = BaseName::Swav;
    let e2mc = swav.small().e2mc();
    let of = |entropy: f64, covariance: f64| match (entropy, covariance) {
        (0.0, 0.0) => found.halfway(swav, "continued"),
        _ if are_main_weights(&e2mc, entropy, covariance) => found.halfway(swav, "e2mc"),
        _ => found.accuracy(swav, WEIGHT_GRID, &weights_branch(entropy, covariance), 0),
    };
    let (_, _, without) = WEIGHTS[0];
    let mut direction = Direction::default();
    let mut rows = Vec::new();
    for &(entropy, covariance, paper) in &WEIGHTS {
        let ours = of(entropy, covariance);
        let gains = differences(&ours, &of(0.0, 0.0));
        if (entropy, covariance) != (0.0, 0.0) {
            direction.count(paper - without, &gains)?;
        }
        rows.push(vec![
            format!("{entropy}, {covariance}"),
            format!("{paper:.2}"),
            cell(&ours),
            format!("{:+.2}", paper - without),
            signed(&gains),
        ]);
    }
    let distinct = |weight: fn(&(f64, f64, f64)) -> f64| {
        let mut all: Vec<f64> = WEIGHTS.iter().map(weight).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let (entropies, covariances) = (distinct(|w| w.0), distinct(|w| w.1));
    let values = covariances.iter().flat_map(|&covariance| {
        entropies.iter().map(move |&entropy| {
            let known = WEIGHTS.iter().any(|w| (w.0, w.1) == (entropy, covariance));
            let ours = if known {
                of(entropy, covariance)
            } else {
                Vec::new()
            };
            Summary::of(&ours).map_or(f64::NAN, |summary| summary.mean)
        })
    });
    let names = |all: &[f64]| all.iter().map(f64::to_string).collect::<Vec<_>>();
    let headings = [
        "entropy, covariance weight",
        "1%, paper",
        "1%, ours",
        "gain, paper",
        "gain, ours",
    ];
    Ok(Section {
        title: "Table D.2: the weights of entropy and covariance (SwAV)".into(),
        line: format!("Each pair of weights minus no criterion. {direction}"),
        table: Some(Table {
            headings: headings.map(String::from).to_vec(),
            rows,
            caption: "Top-1 accuracy in % with 1% of the labels, and the gain over no criterion. \
                      Ours: after half the epochs of the other tables, mean ± standard deviation \
                      over the seeds.",
        }),
        figure: Some(heat_map(
            "Ours, 1% of the labels",
            "entropy weight",
            "covariance weight",
            &names(&covariances),
            &names(&entropies),
            &values.collect::<Vec<_>>(),
        )),
    })
}
