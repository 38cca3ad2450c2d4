use std::path::Path;
use std::sync::Arc;

use ssl_methods::BaseMethod;
use ssl_methods::barlow_twins::BarlowTwins;
use ssl_methods::simsiam::SimSiam;
use ssl_methods::swav::Swav;
use ssl_methods::vicreg::VicReg;

use super::{RunData, RunOptions, Study, StudyResults};
use crate::files::{write_atomically, write_json};
use crate::plan::{BASE, MethodPlan, Start};
use crate::run::{RunFolder, moves_in_words};
use crate::{Event, Observer, Plan, Result, report};

/// Runs the study of a plan with any method, and writes everything to the folder `output`.
///
/// # Errors
///
/// As [`Study::open`] and [`Study::run`].
pub fn run(
    plan: Plan,
    options: RunOptions,
    output: &Path,
    observer: Arc<dyn Observer>,
) -> Result<StudyResults> {
    match plan.method {
        MethodPlan::Swav(_) => Study::<Swav>::open(plan, options, observer)?.run(output),
        MethodPlan::VicReg => Study::<VicReg>::open(plan, options, observer)?.run(output),
        MethodPlan::SimSiam => Study::<SimSiam>::open(plan, options, observer)?.run(output),
        MethodPlan::BarlowTwins => Study::<BarlowTwins>::open(plan, options, observer)?.run(output),
    }
}

/// Writes `report.html` of a run folder from the files in it, finished or not.
///
/// # Errors
///
/// If the folder contains no run, or a file cannot be read or written.
pub fn write_report(root: &Path) -> Result<()> {
    let page = report::page(&RunData::read(root)?);
    write_atomically(&root.join("report.html"), page.as_bytes())
}

impl<M: BaseMethod> Study<M> {
    /// Runs the study and writes everything to the folder `output`. An unfinished run of the same
    /// plan in it is resumed, with the same numbers as an uninterrupted run.
    ///
    /// # Errors
    ///
    /// If the folder contains something else, a file cannot be written, or a training diverges.
    /// [`Error::Stopped`](crate::Error::Stopped) if the observer requested it.
    pub fn run(&self, output: &Path) -> Result<StudyResults> {
        let folder = RunFolder::open(
            output,
            &self.plan,
            &self.fingerprint,
            self.options.other_devices,
        )?;
        self.tell(&folder)?;
        let mut backbones = Vec::new();
        if matches!(self.plan.start, Start::Checkpoint(_)) {
            backbones.push(self.measure_base(&folder)?);
        }
        self.train_branches(&folder)?;
        for branch in &self.plan.branches {
            backbones.push(self.measure_branch(&branch.name, &branch.title(), &folder)?);
        }
        let comparisons = self.comparisons(&backbones)?;
        let results = StudyResults {
            embedding_comparisons: self.embedding_comparisons(&backbones)?,
            verdicts: self.verdicts(&comparisons)?,
            comparisons,
            backbones,
        };
        let mut data = RunData::read(output)?;
        data.results = Some(results.clone());
        write_atomically(&folder.report(), report::page(&data).as_bytes())?;
        // Written last: its presence marks a finished run.
        write_json(&folder.results(), &results)?;
        Ok(results)
    }

    /// Reports the decisions, and keeps them for the report.
    fn tell(&self, folder: &RunFolder) -> Result<()> {
        for decision in &self.decisions {
            self.observer.event(&Event::Decision(decision));
        }
        let moves = moves_in_words(folder.root(), &self.plan)?;
        for note in self.notes.iter().chain(&moves) {
            self.observer.event(&Event::Note(note));
        }
        RunData::write_notes(folder.root(), &self.decisions, &self.notes)?;
        self.observer.event(&Event::Started {
            folder: folder.root(),
            resumed: folder.is_resumed(),
        });
        Ok(())
    }
}

impl Plan {
    /// The backbone that branches are compared with: the first branch without a criterion, or the
    /// base.
    pub fn reference(&self) -> &str {
        let continued = self.branches.iter().find(|b| b.is_without_criterion());
        continued.map_or(BASE, |branch| &branch.name)
    }
}
