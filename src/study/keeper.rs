//! What a training leaves in the run folder, step by step.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use ssl_methods::BaseMethod;

use super::curve::{Curve, CurveLine, curve_file};
use super::epoch_lines::add_line;
use super::micro_batch_file;
use super::monitor::{MonitorLine, monitor_file};
use super::{Study, write_report};
use crate::plan::BranchPlan;
use crate::probing::{Around, Extraction};
use crate::run::{MetricsFile, RunFolder, TrainingState};
use crate::training::{Flow, StepMetrics, Training, Watcher};
use crate::{Error, Event, Result};

/// Writes a training's metrics, states, kNN accuracies and report.
pub(super) struct Keeper<'a, M> {
    study: &'a Study<M>,
    folder: &'a RunFolder,
    branch: &'a BranchPlan,
    stop: &'a AtomicBool,
    pub(super) file: MetricsFile,
    saved: Instant,
    pub(super) first_and_last: Option<[StepMetrics; 2]>,
    /// Whether the embeddings had collapsed at the last check.
    collapsed: bool,
}

/// Whether the embeddings had collapsed at the last step that checked them.
fn was_collapsed(steps: &[StepMetrics]) -> bool {
    let checked = steps.iter().rfind(|step| step.effective_rank.is_some());
    checked.is_some_and(|step| step.collapse.is_some())
}

impl<'a, M: BaseMethod> Keeper<'a, M> {
    /// Of a branch with the given steps so far.
    pub(super) fn new(
        study: &'a Study<M>,
        folder: &'a RunFolder,
        branch: &'a BranchPlan,
        stop: &'a AtomicBool,
        file: MetricsFile,
        steps: &[StepMetrics],
    ) -> Self {
        Self {
            study,
            folder,
            branch,
            stop,
            file,
            saved: Instant::now(),
            first_and_last: None,
            collapsed: was_collapsed(steps),
        }
    }

    pub(super) fn save(&mut self, training: &Training<M>) -> Result<()> {
        // The lines of all steps before the state must be on disk.
        self.file.sync()?;
        let checkpoints = self.folder.path("checkpoints");
        TrainingState::save(training, &checkpoints, self.study.options.save.keep)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Saves a training that ended with an error, which is returned. A device that failed may have
    /// taken the weights with it.
    pub(super) fn save_after(&mut self, error: Error, training: &Training<M>) -> Error {
        // Burn panics if it cannot read from a device.
        match catch_unwind(AssertUnwindSafe(|| self.save(training))) {
            Ok(Ok(())) => error,
            Ok(Err(not_written)) => not_written,
            Err(_) => Error::NotSaved {
                cause: Box::new(error),
            },
        }
    }

    /// Reports a collapse when it begins, not at every step.
    fn watch_collapse(&mut self, step: &StepMetrics) {
        if step.effective_rank.is_none() {
            return;
        }
        if let (Some(collapse), false) = (step.collapse, self.collapsed) {
            self.study.observer.event(&Event::Collapsed {
                title: &self.branch.title(),
                step: Some(step.step),
                collapse,
            });
        }
        self.collapsed = step.collapse.is_some();
    }

    fn is_due(&self, steps_done: usize) -> bool {
        let save = &self.study.options.save;
        let by_steps = save
            .every_steps
            .is_some_and(|n| steps_done.is_multiple_of(n));
        by_steps || self.saved.elapsed() >= save.every
    }

    /// Evaluates the backbone with kNN, if it is time to.
    fn monitor(&self, training: &Training<M>) -> Result<()> {
        let epoch = training.position().epoch;
        let study = self.study;
        let Some(monitor) = study
            .monitor
            .as_ref()
            .filter(|m| epoch.is_multiple_of(m.every))
        else {
            return Ok(());
        };
        let extraction = Extraction {
            device: &study.device,
            observer: &*study.observer,
            task: &format!("kNN, {}", self.branch.title()),
            done_and_total: [0, monitor.images()],
            folder: self.folder.root(),
            epoch: 0,
            failed: &|_| {},
        };
        let knn = monitor.accuracy(training.method().backbone(), &extraction)?;
        let path = monitor_file(self.folder.root(), &self.branch.name);
        let lines = add_line(&path, MonitorLine { epoch, knn })?;
        let best = lines
            .iter()
            .max_by(|a, b| a.knn.total_cmp(&b.knn).then(b.epoch.cmp(&a.epoch)));
        study.observer.event(&Event::Monitored {
            branch: &self.branch.title(),
            epoch,
            accuracy: knn,
            best: best.map_or((knn, epoch), |line| (line.knn, line.epoch)),
        });
        Ok(())
    }

    /// Probes the backbone if it is due. The trained backbone is measured in any case.
    fn probe(&self, training: &Training<M>) -> Result<()> {
        let epoch = training.position().epoch;
        let study = self.study;
        let due = |curve: &&Curve| epoch.is_multiple_of(curve.every) && epoch < study.plan.epochs;
        let Some(curve) = study.curve.as_ref().filter(due) else {
            return Ok(());
        };
        let title = self.branch.title();
        let around = Around {
            device: &study.device,
            observer: &*study.observer,
            title: &title,
            folder: self.folder.root(),
            // They were reported when the base was measured.
            failed: &|_, _| {},
        };
        let probes = curve.probe(&training.method().backbone().valid(), &around)?;
        study.observer.event(&Event::ProbedInTraining {
            branch: &title,
            epoch,
            probes: &probes,
        });
        let line = CurveLine {
            epoch,
            labels: probes.labels,
            accuracies: probes.accuracies,
        };
        add_line(&curve_file(self.folder.root(), &self.branch.name), line)?;
        Ok(())
    }
}

impl<M: BaseMethod> Watcher<M> for Keeper<'_, M> {
    fn after_step(&mut self, training: &Training<M>, step: &StepMetrics) -> Result<Flow> {
        self.file.push(step)?;
        let study = self.study;
        study.report_failures(study.loader.source(), &step.failed_reads);
        study.observer.event(&Event::Step {
            metrics: step,
            total: study.plan.epochs * training.config().steps_per_epoch,
        });
        self.watch_collapse(step);
        match &mut self.first_and_last {
            Some([_, last]) => last.clone_from(step),
            None => self.first_and_last = Some([step.clone(), step.clone()]),
        }
        let steps_done = training.steps_done();
        if training.position().step > 0 && self.is_due(steps_done) {
            self.save(training)?;
        }
        let stop = self.stop.load(Ordering::Relaxed) || study.observer.stop_requested();
        Ok(if stop { Flow::Stop } else { Flow::Continue })
    }

    fn before_repetition(&mut self, training: &Training<M>) -> Result<()> {
        let sizes = training.config().micro_batches.sizes();
        micro_batch_file::write(self.folder.root(), &self.branch.name, sizes)?;
        self.save(training)?;
        let step = training.steps_done();
        let images = training.config().micro_batches.at(step);
        let note = format!(
            "{}: a device's memory was exhausted; step {step} is repeated with {images} images at \
             once, and all later steps have as many. The numbers are those of a run that passes \
             {images} images at once from this step on",
            self.branch.title()
        );
        self.study.observer.event(&Event::Note(&note));
        Ok(())
    }

    fn after_epoch(&mut self, training: &Training<M>) -> Result<()> {
        // The state is saved last, so a run resumed from it does not evaluate again.
        self.monitor(training)?;
        self.probe(training)?;
        self.save(training)?;
        let study = self.study;
        let _one_at_a_time = study.report.lock().expect("no thread panics here");
        write_report(self.folder.root())
    }
}
