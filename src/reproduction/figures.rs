//! The paper's figures, with the numbers behind them.

use e2mc_eval::diagnostics::neighbor_distances;
use e2mc_eval::figures::{MarginalsConfig, Series, distance_histograms, line_chart, marginals};
use e2mc_eval::statistics::Summary;

use super::found::{Found, cell, differences};
use super::jobs::{MAIN, folder, halfway};
use super::{BaseName, Direction};
use crate::plan::BASE;
use crate::report::{Section, Table};
use crate::study::{Compact, embeddings_file};
use crate::{Quantity, Result};

/// The backbones of the main run, with their titles.
const BACKBONES: [(&str, &str); 3] = [
    (BASE, "base"),
    ("continued", "continued"),
    ("e2mc", "+ E2MC"),
];
/// The neighbor of Figure 3, and the smallest reported change of the overlap.
const NEIGHBOR: usize = 100;
const LEVEL: f64 = 0.01;

/// Figures 2 and D.1: two-dimensional marginals.
pub(super) fn figure_2(found: &Found) -> Result<Section> {
    let quantities = [
        Quantity::Entropy,
        Quantity::Covariance,
        Quantity::Distance1d,
        Quantity::Distance2d,
        Quantity::EffectiveRank,
    ];
    // The direction of the paper's text: more uniform, less correlated.
    let expected = [1.0, -1.0, -1.0, -1.0, 1.0];
    let of = |backbone: &str, quantity: Quantity| {
        found.over_seeds(BaseName::Swav, MAIN, |results| {
            let backbone = results.backbones.iter().find(|b| b.name == backbone)?;
            Some(quantity.of(&backbone.embeddings.mean))
        })
    };
    let mut direction = Direction::default();
    for (quantity, expected) in quantities.into_iter().zip(expected) {
        let ours = differences(&of("e2mc", quantity), &of("continued", quantity));
        direction.count(expected, &ours)?;
    }
    let rows = quantities.map(|quantity| {
        let digits = quantity.decimals();
        let cells = BACKBONES.map(|(name, _)| match Summary::of(&of(name, quantity)) {
            Ok(summary) => format!("{summary:.digits$}"),
            Err(_) => "-".into(),
        });
        [quantity.title().to_string()]
            .into_iter()
            .chain(cells)
            .collect()
    });
    let mut headings = vec![String::new()];
    headings.extend(BACKBONES.map(|(_, title)| title.to_string()));
    let [before, after] = [BASE, "e2mc"].map(|name| compact(found, name));
    let figure = match (before?, after?) {
        (Some(before), Some(after)) => {
            let config = MarginalsConfig::default();
            Some(marginals(
                "Base above, + E2MC below",
                before.values,
                after.values,
                &config,
            ))
        }
        _ => None,
    };
    Ok(Section {
        title: "Figures 2 and D.1: marginals of the embeddings (SwAV)".into(),
        line: format!("+ E2MC minus continued: more uniform and less correlated. {direction}"),
        table: Some(Table {
            headings,
            rows: rows.to_vec(),
            caption: "Mean ± standard deviation over the seeds. The figure is of seed 0.",
        }),
        figure,
    })
}

/// Figure 3: distances to the nearest and the 100th neighbor.
pub(super) fn figure_3(found: &Found) -> Result<Section> {
    let mut models = Vec::new();
    for (name, title) in BACKBONES {
        let Some(compact) = compact(found, name)? else {
            continue;
        };
        let [n, _] = compact.values.dims();
        let neighbor = NEIGHBOR.min(n - 1);
        models.push((
            title.to_string(),
            neighbor_distances(compact.values, neighbor)?,
        ));
    }
    let rows = models.iter().map(|(title, distances)| {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        vec![
            title.clone(),
            format!("{:.3}", mean(&distances.nearest)),
            format!("{:.3}", mean(&distances.kth)),
            format!("{:.3}", distances.overlap()),
        ]
    });
    let headings = ["", "nearest", "100th", "overlap"].map(String::from);
    let line = match &models[..] {
        [_, (_, continued), (_, e2mc)] => {
            let [before, after] = [continued, e2mc].map(|distances| distances.overlap());
            let word = match after - before {
                change if change.abs() < LEVEL => "Level",
                change if change < 0.0 => "Same direction",
                _ => "Opposite direction",
            };
            format!(
                "{word}: with E2MC the two distributions overlap by {after:.3}, continued by \
                 {before:.3} (in the paper they are better separated with E2MC). One seed, no test."
            )
        }
        _ => "Its run is not finished.".into(),
    };
    Ok(Section {
        title: "Figure 3: distances to the 1st and the 100th neighbor (SwAV)".into(),
        line,
        table: Some(Table {
            headings: headings.to_vec(),
            rows: rows.collect(),
            caption: "Mean distances between compact embeddings of test images, and the overlap of \
                      the two distributions (0: apart, 1: the same). Seed 0.",
        }),
        figure: (!models.is_empty()).then(|| distance_histograms("", &models)),
    })
}

/// Figure 4: accuracy over the epochs of the main run.
pub(super) fn figure_4(found: &Found) -> Result<Section> {
    let branches = [("continued", "continued"), ("e2mc", "+ E2MC")];
    let curve = |branch: &str| {
        let at_end = |backbone| found.accuracy(BaseName::Swav, MAIN, backbone, 0);
        let half = halfway(found.epochs);
        let mut points = vec![(0, at_end(BASE))];
        if half < found.epochs {
            points.push((half, found.halfway(BaseName::Swav, branch)));
        }
        points.push((found.epochs, at_end(branch)));
        points
    };
    let curves = branches.map(|(branch, title)| (title, curve(branch)));
    let series = curves.each_ref().map(|(title, points)| {
        let points = points
            .iter()
            .filter_map(|(epoch, seeds)| Some((*epoch as f64, Summary::of(seeds).ok()?)));
        Series::of_trials(*title, points)
    });
    let mut direction = Direction::default();
    let [(_, continued), (_, e2mc)] = &curves;
    for ((_, with), (_, without)) in e2mc.iter().zip(continued).skip(1) {
        direction.count(1.0, &differences(with, without))?;
    }
    let rows = curves.iter().map(|(title, points)| {
        let cells = points.iter().map(|(_, seeds)| cell(seeds));
        [title.to_string()].into_iter().chain(cells).collect()
    });
    let headings = continued.iter().map(|(epoch, _)| format!("epoch {epoch}"));
    Ok(Section {
        title: "Figure 4: accuracy over the epochs (SwAV)".into(),
        line: format!("+ E2MC minus continued. {direction}"),
        table: Some(Table {
            headings: [String::new()].into_iter().chain(headings).collect(),
            rows: rows.collect(),
            caption: "Top-1 accuracy in % of a linear probe with 1% of the labels: mean ± standard \
                      deviation over the seeds, the band of the figure.",
        }),
        figure: Some(line_chart("", "epoch", "top-1 accuracy (%)", &series)),
    })
}

/// Embeddings of the main run's first seed.
fn compact(found: &Found, backbone: &str) -> Result<Option<Compact>> {
    let root = found.root.join(folder(BaseName::Swav, MAIN, 0));
    let file = embeddings_file(&root, backbone);
    file.exists().then(|| Compact::read(&file)).transpose()
}
