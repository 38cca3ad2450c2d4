//! The trainings of a study.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use burn::module::Module;
use e2mc_data::FailedRead;
use e2mc_data::source::ImageSource;
use e2mc_resnet::save_backbone;
use ssl_methods::BaseMethod;
use ssl_methods::optim::continue_momentum;

use super::curve::{Curve, CurveLine, curve_file};
use super::epoch_lines::add_line;
use super::measure::trained_file;
use super::micro_batch_file;
use super::monitor::{MonitorLine, monitor_file};
use super::open::{cores, side_by_side};
use super::{Study, write_report};
use crate::device::host_device;
use crate::plan::{BranchPlan, MicroBatch};
use crate::probing::{Around, Extraction};
use crate::run::{MetricsFile, RunFolder, TrainingState};
use crate::training::{
    Flow, MicroBatchFrom, MicroBatches, StepMetrics, Training, TrainingConfig, Watcher,
};
use crate::{Error, Event, Result};

impl<M: BaseMethod> Study<M> {
    /// Trains every branch that is not finished. A branch that fails stops the others, which save
    /// their state.
    pub(super) fn train_branches(&self, folder: &RunFolder) -> Result<()> {
        let branches = &self.plan.branches;
        let workers = side_by_side(&self.plan);
        let stop = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let errors = Mutex::new(Vec::new());
        let work = || {
            // Set even if this thread panics.
            let _tell = TellOthers(&stop);
            loop {
                let branch = branches.get(next.fetch_add(1, Ordering::Relaxed));
                let Some(branch) = branch.filter(|_| !stop.load(Ordering::Relaxed)) else {
                    return;
                };
                if let Err(error) = self.train(branch, folder, &stop) {
                    stop.store(true, Ordering::Relaxed);
                    let mut errors = errors.lock().expect("no thread panics here");
                    errors.push(error);
                }
            }
        };
        if workers == 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..workers)
                    .map(|_| {
                        let pool = rayon::ThreadPoolBuilder::new().num_threads(cores() / workers);
                        let pool = pool.build().expect("the system can start threads");
                        scope.spawn(move || pool.install(work))
                    })
                    .collect();
                for thread in threads {
                    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                }
            });
        }
        let errors = errors.into_inner().expect("no thread panics here");
        // Returns the cause rather than the error of a branch that it stopped.
        let stopped = |error: &Error| matches!(error, Error::Stopped { .. });
        let (stopped, causes): (Vec<_>, Vec<_>) = errors.into_iter().partition(stopped);
        match causes.into_iter().chain(stopped).next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Trains one branch from its start or its newest state.
    fn train(&self, branch: &BranchPlan, folder: &RunFolder, stop: &AtomicBool) -> Result<()> {
        let checkpoints = folder.path("checkpoints");
        let trained = trained_file(folder, &branch.name);
        if trained.exists() {
            return TrainingState::remove_all(&checkpoints, &branch.name);
        }
        // The shares of several devices are cut in the host's memory.
        let device = match self.devices.len() {
            1 => self.device.clone().autodiff(),
            _ => host_device(&self.device),
        };
        let mut training = self.training(branch, folder)?;
        let first = training.steps_done();
        let metrics_file = folder.path(&format!("metrics-{}.jsonl", branch.name));
        let (file, steps) = MetricsFile::open(metrics_file, first)?;
        for step in &steps {
            self.report_failures(self.loader.source(), &step.failed_reads);
        }
        let in_epoch = first - training.position().step..first;
        let failed: Vec<usize> = steps[in_epoch]
            .iter()
            .flat_map(|step| step.failed_reads.iter().map(|failed| failed.index))
            .collect();

        let mut keeper = Keeper {
            study: self,
            folder,
            branch,
            stop,
            file,
            saved: Instant::now(),
            first_and_last: None,
            collapsed: was_collapsed(&steps),
        };
        let mut failed = failed.into_iter();
        while !training.is_finished() {
            let flow = training.epoch(&self.loader, &device, failed.by_ref(), &mut keeper);
            match flow {
                Ok(Flow::Continue) => {}
                Ok(Flow::Stop) => {
                    keeper.save(&training)?;
                    return Err(Error::Stopped {
                        folder: folder.root().to_path_buf(),
                    });
                }
                Err(error) => {
                    return Err(match error.leaves_a_whole_state() {
                        true => keeper.save_after(error, &training),
                        false => error,
                    });
                }
            }
        }
        keeper.file.sync()?;
        if let Some([first, last]) = &keeper.first_and_last {
            self.observer.event(&Event::Trained {
                branch: &branch.title(),
                first_and_last: [first, last],
            });
        }
        let method = training.into_method();
        let backbone = folder.path(&format!("backbone-{}.safetensors", branch.name));
        save_backbone(method.backbone(), backbone)?;
        // Written last: its presence marks a finished branch.
        method.save(&trained)?;
        TrainingState::remove_all(&checkpoints, &branch.name)
    }

    fn training(&self, branch: &BranchPlan, folder: &RunFolder) -> Result<Training<M>> {
        let plan = &self.plan;
        let method = (self.start)(&self.device.clone().autodiff())?;
        let steps_per_epoch = self.loader.steps_per_epoch();
        let mut schedule = plan.schedule.clone();
        schedule.learning_rate = branch.learning_rate.unwrap_or(schedule.learning_rate);
        let part_rates = plan.optimizer.part_rates.iter();
        let config = TrainingConfig {
            branch: branch.name.clone(),
            epochs: plan.epochs,
            first_epoch: self.first_epoch,
            steps_per_epoch,
            schedule: schedule.rates(plan.epochs, steps_per_epoch)?,
            part_rates: part_rates
                .map(|(part, &rate)| (part.clone(), rate))
                .collect(),
            criterion: branch.criterion.init(),
            watched_space: plan.method.compact_space(),
            micro_batches: self.micro_batches(branch, folder)?,
            precision: plan.precision,
            devices: self.devices.iter().map(|d| d.clone().autodiff()).collect(),
            skipped_steps: plan.skipped_steps,
        };
        let optimizer = plan.optimizer.rule.init();
        let checkpoints = folder.path("checkpoints");
        if let Some(state) = TrainingState::newest(&checkpoints, &branch.name)? {
            return state.restore(method, optimizer, config);
        }
        let optimizer = match self.momentum.is_empty() {
            true => optimizer,
            false => continue_momentum(optimizer, &method, self.momentum.iter().cloned())?.0,
        };
        Ok(Training::new(method, optimizer, config))
    }

    /// The micro-batches of a branch. If they depend on the memory, those of its earlier part, or,
    /// at its start, the smallest that another branch needed: all have the same memory.
    fn micro_batches(&self, branch: &BranchPlan, folder: &RunFolder) -> Result<MicroBatches> {
        if self.plan.micro_batch != Some(MicroBatch::Auto) {
            return Ok(MicroBatches::fixed(self.at_once));
        }
        let (root, share) = (folder.root(), self.plan.share());
        if let Some(sizes) = micro_batch_file::read(root, &branch.name, share)? {
            return Ok(MicroBatches::halving(sizes));
        }
        let mut images = self.at_once;
        for other in &self.plan.branches {
            let sizes = micro_batch_file::read(root, &other.name, share)?;
            let last = sizes.as_deref().and_then(|sizes| sizes.last());
            images = last.map_or(images, |last| last.images.min(images));
        }
        let sizes = vec![MicroBatchFrom { step: 0, images }];
        micro_batch_file::write(root, &branch.name, &sizes)?;
        Ok(MicroBatches::halving(sizes))
    }

    /// Reports unreadable images, each only once.
    pub(super) fn report_failures(&self, source: &dyn ImageSource, failures: &[FailedRead]) {
        for failure in self.failed.add(source.name(), failures) {
            self.observer.event(&Event::FailedImage(&failure));
        }
    }
}

/// Stops the other branches if this one's thread panics.
struct TellOthers<'a>(&'a AtomicBool);

impl Drop for TellOthers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Writes a training's metrics, states, kNN accuracies and report.
struct Keeper<'a, M> {
    study: &'a Study<M>,
    folder: &'a RunFolder,
    branch: &'a BranchPlan,
    stop: &'a AtomicBool,
    file: MetricsFile,
    saved: Instant,
    first_and_last: Option<[StepMetrics; 2]>,
    /// Whether the embeddings had collapsed at the last check.
    collapsed: bool,
}

/// Whether the embeddings had collapsed at the last step that checked them.
fn was_collapsed(steps: &[StepMetrics]) -> bool {
    let checked = steps.iter().rfind(|step| step.effective_rank.is_some());
    checked.is_some_and(|step| step.collapse.is_some())
}

impl<M: BaseMethod> Keeper<'_, M> {
    fn save(&mut self, training: &Training<M>) -> Result<()> {
        // The lines of all steps before the state must be on disk.
        self.file.sync()?;
        let checkpoints = self.folder.path("checkpoints");
        TrainingState::save(training, &checkpoints, self.study.options.save.keep)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Saves a training that ended with an error, which is returned. A device that failed may have
    /// taken the weights with it.
    fn save_after(&mut self, error: Error, training: &Training<M>) -> Error {
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
