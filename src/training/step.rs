use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use e2mc_data::{DataError, SplitBatch};
use e2mc_eval::diagnostics::{Collapse, effective_rank};
use e2mc_loss::E2mcLossConfig;
use ssl_methods::criterion::{Criterion, CriterionOutput};
use ssl_methods::{
    BaseMethod, MethodError, MethodOutput, Replicas, RunPosition, replicated_gradients,
};

use super::device_failure::{on_devices, out_of_memory};
use super::figures::Figures;
use super::gradient_norm::gradient_norm;
use super::{StepMetrics, Training};
use crate::{Error, Result};

/// Steps between two measurements of the effective rank, each of which waits for the device.
const RANK_EVERY: usize = 10;
/// The criterion's terms that are logged for every branch.
const WATCHED: [&str; 2] = ["entropy", "covariance"];

/// What the devices compute in a step.
struct Computed {
    gradients: GradientsParams,
    /// The named values of the metrics: the terms of the base loss and of the criterion, and the
    /// others in the order of the metrics.
    figures: Vec<(String, f64)>,
    base_terms: usize,
    criterion_terms: usize,
    effective_rank: Option<f64>,
    /// Of the embeddings of a view.
    shape: [usize; 2],
}

impl Computed {
    /// Name of the first value that is infinite or NaN.
    fn not_finite(&self) -> Option<String> {
        let found = self.figures.iter().find(|(_, value)| !value.is_finite());
        found.map(|(name, _)| name.clone())
    }
}

impl<M: BaseMethod> Training<M> {
    /// One step, without its times. A step whose loss or gradient is not finite changes nothing but
    /// the position; one in which a device fails changes nothing.
    pub(super) fn step(&mut self, batch: SplitBatch) -> Result<StepMetrics> {
        let mut method = self.method.take().expect("no step is under way");
        let run_position = self.run_position();
        let images = batch.indices.len();
        // Shares the parameters, but has its own running statistics.
        let before = method.valid();

        let devices = self.config.devices.len();
        let computed = on_devices(devices, || {
            self.compute(&mut method, batch.shares, images, run_position)
        });
        let computed = match computed {
            Ok(computed) => computed,
            Err(error) => {
                self.method = Some(on_devices(devices, || restored(method, before))?);
                return Err(self.failure(error));
            }
        };
        let skipped = computed.not_finite();
        let uniform_loss = method.uniform_loss();

        let rates = self.scheduler(&method).step();
        let learning_rate = rates.base();
        if skipped.is_some() {
            self.method = Some(restored(method, before)?);
            self.position.skipped += 1;
        } else {
            // Dropped before the update, which can then reuse the parameters' memory.
            drop(before);
            self.method = Some(self.optimizer.step(rates, method, computed.gradients));
            self.position.skipped = 0;
        }

        let mut values = computed.figures.into_iter();
        let mut terms =
            |count: usize| -> BTreeMap<String, f64> { values.by_ref().take(count).collect() };
        let base = terms(computed.base_terms);
        let criterion = terms(computed.criterion_terms);
        let mut next = || values.next().map_or(f64::NAN, |(_, value)| value);
        let mut metrics = StepMetrics {
            branch: self.config.branch.clone(),
            epoch: run_position.epoch,
            step: run_position.iteration,
            base,
            criterion,
            entropy: next(),
            covariance: next(),
            base_loss: next(),
            uniform_loss,
            loss: next(),
            embedding_std: next(),
            effective_rank: computed.effective_rank,
            collapse: None,
            gradient_norm: next(),
            learning_rate,
            images_per_second: 0.0,
            wait: 0.0,
            failed_reads: batch.failures,
            skipped,
            images,
        };
        metrics.collapse = computed
            .effective_rank
            .and_then(|rank| Collapse::of(metrics.embedding_std, rank, computed.shape));
        self.advance();
        Ok(metrics)
    }

    /// The gradients of the batch's loss, and the values of the metrics, which are read from the
    /// device together.
    fn compute(
        &self,
        method: &mut M,
        shares: Vec<Vec<Tensor<4>>>,
        images: usize,
        position: RunPosition,
    ) -> Result<Computed, MethodError> {
        let mut criterion = None;
        let precision = self.config.precision;
        let shares = shares.into_iter().map(|views| precision.of_views(views));
        let replicas = Replicas {
            devices: &self.config.devices,
            micro_batch: self.micro_batch().min(images),
            sync_batch_norm: self.config.sync_batch_norm,
        };
        let step = replicated_gradients(method, shares.collect(), &replicas, position, |output| {
            criterion = self.evaluate_criterion(output);
            match &criterion {
                Some(criterion) => output.loss.clone() + criterion.loss.clone(),
                None => output.loss.clone(),
            }
        })?;
        let embeddings = &step.output.embeddings;

        let mut figures = Figures::default();
        let base_terms = &step.output.terms;
        let criterion_terms = criterion.map_or(Vec::new(), |criterion| criterion.terms);
        for (name, value) in base_terms.iter().chain(&criterion_terms) {
            figures.push(*name, value.clone());
        }
        for (name, value) in WATCHED
            .into_iter()
            .zip(self.watched(&criterion_terms, embeddings))
        {
            figures.push(name, value);
        }
        figures.push("base loss", step.output.loss.clone());
        figures.push("loss", step.loss.clone());
        figures.push("embedding std", embedding_std(embeddings));
        figures.push("gradient", gradient_norm(method, &step.gradients));
        let mut computed = Computed {
            figures: figures.read(),
            base_terms: base_terms.len(),
            criterion_terms: criterion_terms.len(),
            effective_rank: None,
            shape: embeddings[0].dims(),
            gradients: step.gradients,
        };
        if self.steps_done().is_multiple_of(RANK_EVERY) && computed.not_finite().is_none() {
            computed.effective_rank = Some(effective_rank(embeddings[0].clone()));
        }
        Ok(computed)
    }

    /// The micro-batch of the next step.
    fn micro_batch(&self) -> usize {
        self.config.micro_batches.at(self.steps_done())
    }

    /// The error of a batch that did not come.
    pub(super) fn failure_of_transfer(&self, error: DataError) -> Error {
        match error {
            DataError::Device {
                place,
                devices,
                problem,
            } => self.failure(MethodError::of_panic(place, devices, &problem)),
            other => other.into(),
        }
    }

    /// The error of a step in which a device failed.
    fn failure(&self, error: MethodError) -> Error {
        match out_of_memory(&error) {
            Some(problem) => Error::OutOfMemory {
                branch: self.config.branch.clone(),
                images: self.micro_batch(),
                problem: problem.into(),
            },
            None => error.into(),
        }
    }

    /// The criterion's loss and terms. None if only the base loss is trained.
    fn evaluate_criterion(&self, output: &MethodOutput) -> Option<CriterionOutput> {
        let criterion = &self.config.criterion;
        criterion.forward(&output.embeddings, &output.small_crops)
    }

    /// Entropy and covariance of the embeddings, taken from E2MC if it is the criterion.
    fn watched(
        &self,
        terms: &[(&'static str, Tensor<1>)],
        embeddings: &[Tensor<2>],
    ) -> [Tensor<1>; 2] {
        if let (Criterion::E2mc(_), [(_, entropy), (_, covariance)]) =
            (&self.config.criterion, terms)
        {
            return [entropy.clone(), covariance.clone()];
        }
        let e2mc = E2mcLossConfig::new(self.config.watched_space).init();
        let e2mc = e2mc.forward(embeddings);
        [e2mc.entropy, e2mc.covariance]
    }
}

/// The method before a skipped step: parameters, running statistics, and state.
fn restored<M: BaseMethod>(method: M, before: M) -> Result<M, MethodError> {
    let state = before.state();
    // Applies the statistics' pending updates, which would otherwise replace the restored values.
    drop(method.valid());
    let mut method = method.load_record(before.into_record());
    method.load_state(state)?;
    Ok(method)
}

/// Mean standard deviation of the embeddings' dimensions over a batch, averaged over the views.
fn embedding_std(embeddings: &[Tensor<2>]) -> Tensor<1> {
    let views = embeddings
        .iter()
        .map(|z| z.clone().var(0).sqrt().mean())
        .collect();
    Tensor::cat(views, 0).mean()
}
