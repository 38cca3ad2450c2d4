use std::collections::BTreeMap;
use std::path::PathBuf;

use e2mc_eval::statistics::Summary;

use super::BaseName;
use super::jobs::{MAIN, finetuned, folder, halfway};
use crate::study::CurveLine;
use crate::{FinetuneResults, StudyResults};

/// The results of finished runs, by the names of their folders.
pub(super) struct Found {
    pub(super) root: PathBuf,
    pub(super) seeds: u64,
    /// Epochs of the main runs.
    pub(super) epochs: usize,
    pub(super) studies: BTreeMap<String, StudyResults>,
    /// The probes of branches in training, by the names of folder and branch.
    pub(super) curves: BTreeMap<(String, String), Vec<CurveLine>>,
    pub(super) finetunings: BTreeMap<String, FinetuneResults>,
}

impl Found {
    /// A value from the runs `what` of a base, one for each seed with a finished run.
    pub(super) fn over_seeds(
        &self,
        base: BaseName,
        what: &str,
        figure: impl Fn(&StudyResults) -> Option<f64>,
    ) -> Vec<f64> {
        let runs = (0..self.seeds).map(|seed| self.studies.get(&folder(base, what, seed)));
        runs.filter_map(|run| figure(run?)).collect()
    }

    /// Accuracy of a backbone by the probe with index `labels`.
    pub(super) fn accuracy(
        &self,
        base: BaseName,
        what: &str,
        backbone: &str,
        labels: usize,
    ) -> Vec<f64> {
        self.over_seeds(base, what, |results| accuracy(results, backbone, labels))
    }

    /// Accuracy of a branch of the main run with 1% of the labels, after half the epochs.
    pub(super) fn halfway(&self, base: BaseName, branch: &str) -> Vec<f64> {
        if halfway(self.epochs) == self.epochs {
            return self.accuracy(base, MAIN, branch, 0);
        }
        let points = |seed| {
            let key = (folder(base, MAIN, seed), branch.to_string());
            self.curves.get(&key)
        };
        let accuracy = |points: &Vec<CurveLine>| {
            let mut points = points.iter();
            let point = points.find(|point| point.epoch == halfway(self.epochs))?;
            Some(Summary::of(&point.accuracies).ok()?.mean)
        };
        let seeds = 0..self.seeds;
        seeds.filter_map(|seed| accuracy(points(seed)?)).collect()
    }

    /// Accuracy of a backbone minus that of another in the main run.
    pub(super) fn gain(&self, base: BaseName, of: [&str; 2], labels: usize) -> Vec<f64> {
        self.over_seeds(base, MAIN, |results| {
            Some(accuracy(results, of[0], labels)? - accuracy(results, of[1], labels)?)
        })
    }

    /// Accuracy after the fine-tuning task with index `labels`.
    pub(super) fn finetuned(&self, base: BaseName, backbone: &str, labels: usize) -> Vec<f64> {
        let what = finetuned(backbone);
        let runs = (0..self.seeds).map(|seed| self.finetunings.get(&folder(base, &what, seed)));
        runs.filter_map(|run| Some(run?.rows.get(labels)?.top1.mean))
            .collect()
    }
}

/// A backbone's mean accuracy over the draws, by the probe with index `labels`.
pub(super) fn accuracy(results: &StudyResults, backbone: &str, labels: usize) -> Option<f64> {
    let backbone = results.backbones.iter().find(|b| b.name == backbone)?;
    Some(backbone.probes.get(labels)?.summary().ok()?.mean)
}

/// `a - b`, seed by seed.
pub(super) fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Mean and standard deviation over the seeds; a dash if there is none.
pub(super) fn cell(seeds: &[f64]) -> String {
    Summary::of(seeds).map_or("-".into(), |summary| summary.to_string())
}

/// The same of a difference, with its sign.
pub(super) fn signed(seeds: &[f64]) -> String {
    match Summary::of(seeds) {
        Err(_) => "-".into(),
        Ok(Summary { mean, std, .. }) => {
            let std = std.map_or(String::new(), |std| format!(" ± {std:.2}"));
            format!("{mean:+.2}{std}")
        }
    }
}
