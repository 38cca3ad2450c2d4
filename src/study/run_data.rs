use std::path::Path;

use e2mc_eval::diagnostics::NeighborDistances;
use serde::{Deserialize, Serialize};

use super::curve::{CurveLine, curve_points};
use super::epoch_lines::read_lines;
use super::measure::{Measured, embeddings_file, measured_file, neighbors_file};
use super::micro_batch_file;
use super::monitor::{MonitorLine, monitor_file};
use super::{BackboneResults, Compact, StudyResults};
use crate::files::{read_json, read_text, write_json};
use crate::plan::BASE;
use crate::run::{FailedReads, moves_in_words};
use crate::{Plan, Result, StepMetrics};

/// The content of a run folder, finished or not, for the report.
pub(crate) struct RunData {
    pub(crate) plan: Plan,
    pub(crate) decisions: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// The steps of each branch, in the plan's order.
    pub(crate) steps: Vec<Vec<StepMetrics>>,
    /// The kNN accuracies of each branch, in the plan's order.
    pub(crate) monitored: Vec<Vec<MonitorLine>>,
    /// The probes of each branch in training, in the plan's order.
    pub(crate) curves: Vec<Vec<CurveLine>>,
    /// The measured backbones: the base first, then the branches.
    pub(crate) measured: Vec<BackboneResults>,
    /// The comparisons, once the run is finished.
    pub(crate) results: Option<StudyResults>,
    /// Compact embeddings of the same images by the base and by the last branch.
    pub(crate) before_and_after: Option<[Compact; 2]>,
    /// Distances of embeddings to their neighbors, for each backbone under its title.
    pub(crate) neighbors: Vec<(String, NeighborDistances)>,
    /// The images that could not be read.
    pub(crate) failed: Vec<e2mc_data::FailedRead>,
}

/// `notes.json`.
#[derive(Serialize, Deserialize)]
struct Notes<'a> {
    decisions: std::borrow::Cow<'a, [String]>,
    notes: std::borrow::Cow<'a, [String]>,
}

const NOTES: &str = "notes.json";

impl RunData {
    pub(super) fn write_notes(root: &Path, decisions: &[String], notes: &[String]) -> Result<()> {
        let notes = Notes {
            decisions: decisions.into(),
            notes: notes.into(),
        };
        write_json(&root.join(NOTES), &notes)
    }

    /// Reads the existing files.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let plan = Plan::of_run(root)?;
        let notes_file = root.join(NOTES);
        let (decisions, notes) = match notes_file.exists() {
            true => {
                let notes: Notes = read_json(&notes_file)?;
                (notes.decisions.into_owned(), notes.notes.into_owned())
            }
            false => Default::default(),
        };
        let mut notes = notes;
        notes.extend(moves_in_words(root, &plan)?);
        let (mut steps, mut monitored, mut curves) = (Vec::new(), Vec::new(), Vec::new());
        let failed = FailedReads::default();
        for branch in &plan.branches {
            let metrics = read_metrics(&root.join(format!("metrics-{}.jsonl", branch.name)))?;
            for step in &metrics {
                failed.add("", &step.failed_reads);
            }
            steps.push(metrics);
            monitored.push(read_lines(&monitor_file(root, &branch.name))?);
            curves.push(curve_points(root, &branch.name)?);
            if let Some(sizes) = micro_batch_file::read(root, &branch.name, plan.share())? {
                let sizes = micro_batch_file::words(&sizes);
                notes.push(format!("{}: {sizes} (--micro-batch auto)", branch.title()));
            }
        }
        let names = || {
            [BASE]
                .into_iter()
                .chain(plan.branches.iter().map(|b| &*b.name))
        };
        let (mut measured, mut neighbors) = (Vec::new(), Vec::new());
        for name in names() {
            let file = measured_file(root, name);
            if file.exists() {
                let of_backbone: Measured = read_json(&file)?;
                failed.add("", &of_backbone.failed_reads);
                let file = neighbors_file(root, name);
                if file.exists() {
                    neighbors.push((of_backbone.results.title.clone(), read_json(&file)?));
                }
                measured.push(of_backbone.results);
            }
        }
        let ends = [Some(BASE), names().last()].map(|name| {
            let file = embeddings_file(root, name?);
            file.exists().then(|| Compact::read(&file))
        });
        let before_and_after = match ends {
            [Some(before), Some(after)] => Some([before?, after?]),
            _ => None,
        };
        let results = root.join("results.json");
        let results = match results.exists() {
            true => Some(read_json(&results)?),
            false => None,
        };
        Ok(Self {
            decisions,
            notes,
            steps,
            monitored,
            curves,
            measured,
            results,
            before_and_after,
            neighbors,
            failed: failed.all(),
            plan,
        })
    }
}

/// The complete lines of a branch's metrics. The last line may still be incomplete.
fn read_metrics(path: &Path) -> Result<Vec<StepMetrics>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(path)?;
    let lines = text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok());
    Ok(lines.collect())
}
