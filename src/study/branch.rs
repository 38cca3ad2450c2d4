//! The trainings of a study.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use e2mc_resnet::save_backbone;
use ssl_methods::BaseMethod;
use ssl_methods::optim::continue_momentum;

use super::Study;
use super::keeper::Keeper;
use super::measure::trained_file;
use super::micro_batch_file;
use super::open::{cores, side_by_side};
use crate::plan::{BranchPlan, MicroBatch};
use crate::run::{MetricsFile, RunFolder, TrainingState};
use crate::training::{Flow, MicroBatchFrom, MicroBatches, Training, TrainingConfig};
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

        let mut keeper = Keeper::new(self, folder, branch, stop, file, &steps);
        let mut failed = failed.into_iter();
        while !training.is_finished() {
            let flow = training.epoch(&self.loader, failed.by_ref(), &mut keeper);
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
            sync_batch_norm: plan.sync_batch_norm,
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
