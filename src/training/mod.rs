//! The training loop: a step, an epoch, and the handling of losses that are not finite.

mod device_failure;
mod figures;
mod gradient_norm;
mod metrics;
mod micro_batches;
mod step;
#[cfg(all(test, feature = "flex"))]
mod tests;

use std::time::Instant;

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use e2mc_data::{Loader, SplitBatch};
use e2mc_loss::CompactSpace;
use ssl_methods::criterion::Criterion;
use ssl_methods::optim::LrSchedule;
use ssl_methods::{BaseMethod, RunPosition};

pub use metrics::StepMetrics;
pub use micro_batches::{MicroBatchFrom, MicroBatches};

use crate::plan::Precision;
use crate::{Error, Result};

/// Training settings of one branch.
#[derive(Debug, Clone)]
pub struct TrainingConfig {
    /// Name of the branch in metrics and messages.
    pub branch: String,
    /// Epochs of this run, at least 1.
    pub epochs: usize,
    /// The first epoch of the run: 0, or the epoch of a continued checkpoint.
    pub first_epoch: usize,
    /// Steps in an epoch, at least 1.
    pub steps_per_epoch: usize,
    /// The learning rate of each step of this run.
    pub schedule: LrSchedule,
    /// Constant learning rates of parts of the method, by the parts' names.
    pub part_rates: Vec<(String, f64)>,
    /// The criterion added to the base loss.
    pub criterion: Criterion,
    /// The compact space for the logged entropy and covariance, whether or not they are trained.
    pub watched_space: CompactSpace,
    /// Images that pass through the network at once. See [`ssl_methods::accumulated_gradients`].
    pub micro_batches: MicroBatches,
    /// Number format.
    pub precision: Precision,
    /// The devices, at least one; the method is on the first. With several, each gets an equal
    /// share of a batch: see [`ssl_methods::replicated_gradients`].
    pub devices: Vec<Device>,
    /// Whether several devices share the statistics of batch normalization: see
    /// [`ssl_methods::Replicas`].
    pub sync_batch_norm: bool,
    /// Consecutive skipped steps that cause [`Error::Diverged`].
    pub skipped_steps: usize,
}

/// The position of a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Whole epochs done in this run.
    pub epoch: usize,
    /// Steps done in the epoch in progress.
    pub step: usize,
    /// Consecutive skipped steps up to here.
    pub skipped: usize,
}

/// Whether a training continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The training continues.
    Continue,
    /// The training stops after this step.
    Stop,
}

/// A method in training.
pub struct Training<M: BaseMethod> {
    /// Absent only while a step replaces it.
    method: Option<M>,
    optimizer: ModuleOptimizer,
    config: TrainingConfig,
    position: Position,
}

/// Observes a training, to save, report or stop it.
pub trait Watcher<M: BaseMethod> {
    /// Called after each step.
    ///
    /// # Errors
    ///
    /// An error stops the training.
    fn after_step(&mut self, training: &Training<M>, step: &StepMetrics) -> Result<Flow>;

    /// Called when a step has exhausted a device's memory, before it is repeated with smaller
    /// [micro-batches](MicroBatches). The training is at the state before the step.
    ///
    /// # Errors
    /// An error stops the training.
    fn before_repetition(&mut self, training: &Training<M>) -> Result<()>;

    /// Called after the last step of each epoch.
    ///
    /// # Errors
    ///
    /// An error stops the training.
    fn after_epoch(&mut self, training: &Training<M>) -> Result<()>;
}

impl<M: BaseMethod> Training<M> {
    /// Creates a training at its first step. The method must be on an autodiff device. It must not
    /// share batch normalization with another method, as a `clone()` does.
    ///
    /// # Panics
    ///
    /// If `part_rates` names a part that the method does not have.
    pub fn new(method: M, optimizer: ModuleOptimizer, config: TrainingConfig) -> Self {
        Self::at(method, optimizer, config, Position::default())
    }

    pub(crate) fn at(
        method: M,
        optimizer: ModuleOptimizer,
        config: TrainingConfig,
        position: Position,
    ) -> Self {
        let groups = method.param_groups();
        for (part, _) in &config.part_rates {
            assert!(
                groups.iter().any(|group| group.name == part),
                "{} has no part {part}, only {:?}",
                method.name(),
                groups.iter().map(|group| group.name).collect::<Vec<_>>()
            );
        }
        Self {
            method: Some(method),
            optimizer,
            config,
            position,
        }
    }

    /// The method as trained so far.
    pub fn method(&self) -> &M {
        self.method.as_ref().expect("no step is under way")
    }

    /// The method as trained so far.
    pub fn into_method(self) -> M {
        self.method.expect("no step is under way")
    }

    /// The position of the training.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The training's settings.
    pub fn config(&self) -> &TrainingConfig {
        &self.config
    }

    pub(crate) fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// Whether all epochs are done.
    pub fn is_finished(&self) -> bool {
        self.position.epoch >= self.config.epochs
    }

    /// Steps done, including skipped ones.
    pub fn steps_done(&self) -> usize {
        self.position.epoch * self.config.steps_per_epoch + self.position.step
    }

    /// Trains to the end of the epoch in progress, or until `watcher` stops it.
    ///
    /// `failed` are the unreadable images in the finished part of the epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] if too many steps in a row had a loss or gradient that is not finite;
    /// [`Error::OutOfMemory`] and [`MethodError::Device`](ssl_methods::MethodError::Device) if a
    /// device fails; the loader's errors and those of `watcher`.
    pub fn epoch(
        &mut self,
        loader: &Loader,
        failed: impl IntoIterator<Item = usize>,
        watcher: &mut impl Watcher<M>,
    ) -> Result<Flow> {
        let epoch = self.config.first_epoch + self.position.epoch;
        let devices = self.config.devices.iter().map(|d| d.clone().inner());
        let devices: Vec<Device> = devices.collect();
        let batches = loader.split_epoch_from(epoch, self.position.step, &devices);
        let batches = batches.with_failed(failed);
        let mut start = Instant::now();
        for batch in batches {
            let batch = batch.map_err(|error| self.failure_of_transfer(error))?;
            let waited = start.elapsed();
            let mut metrics = loop {
                match self.step(batch.clone()) {
                    Err(Error::OutOfMemory { .. }) if self.halve_micro_batch(&batch) => {
                        watcher.before_repetition(self)?;
                    }
                    step => break step?,
                }
            };
            let whole = start.elapsed();
            metrics.set_times(waited, whole);
            let flow = watcher.after_step(self, &metrics)?;
            self.check_skipped(&metrics)?;
            if self.position.step == 0 {
                watcher.after_epoch(self)?;
            }
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
            // Saving and evaluating do not count as step time.
            start = Instant::now();
        }
        Ok(Flow::Continue)
    }

    /// The position for the method: SwAV counts epochs and steps for its queue and prototypes.
    fn run_position(&self) -> RunPosition {
        RunPosition {
            epoch: self.config.first_epoch + self.position.epoch,
            iteration: self.steps_done(),
        }
    }

    /// Halves the micro-batches from this step on. Returns whether it could.
    fn halve_micro_batch(&mut self, batch: &SplitBatch) -> bool {
        let share = batch.indices.len() / self.config.devices.len();
        let step = self.steps_done();
        self.config.micro_batches.halve(step, share)
    }

    fn advance(&mut self) {
        self.position.step += 1;
        if self.position.step == self.config.steps_per_epoch {
            self.position.step = 0;
            self.position.epoch += 1;
        }
    }

    fn check_skipped(&self, metrics: &StepMetrics) -> Result<()> {
        match &metrics.skipped {
            Some(term) if self.position.skipped >= self.config.skipped_steps => {
                Err(Error::Diverged {
                    branch: self.config.branch.clone(),
                    term: term.clone(),
                    skipped: self.position.skipped,
                    step: metrics.step,
                })
            }
            _ => Ok(()),
        }
    }

    /// The learning rates of the next step.
    fn scheduler(&self, method: &M) -> ModuleLrScheduler {
        let mut schedule = self.config.schedule.clone();
        schedule.go_to(self.steps_done());
        if self.config.part_rates.is_empty() {
            return ModuleLrScheduler::new(schedule);
        }
        let groups = method.param_groups();
        self.config.part_rates.iter().fold(
            ModuleLrScheduler::new(schedule),
            |scheduler, (part, rate)| {
                let group = groups.iter().find(|group| group.name == part);
                let group = group.expect("checked when the training was made");
                let rate = LrSchedule::constant(*rate).expect("checked with the plan");
                scheduler.with_group(group.parameters.clone(), rate)
            },
        )
    }
}
