use std::collections::BTreeMap;

use burn::tensor::Tensor;
use e2mc_data::Batch;
use e2mc_eval::diagnostics::{Collapse, effective_rank};
use e2mc_loss::E2mcLossConfig;
use ssl_methods::criterion::{Criterion, CriterionOutput};
use ssl_methods::{BaseMethod, MethodOutput, replicated_gradients};

use super::figures::Figures;
use super::gradient_norm::gradient_norm;
use super::{StepMetrics, Training};
use crate::Result;

/// Steps between two measurements of the effective rank, each of which waits for the device.
const RANK_EVERY: usize = 10;
/// The criterion's terms that are logged for every branch.
const WATCHED: [&str; 2] = ["entropy", "covariance"];

impl<M: BaseMethod> Training<M> {
    /// One step, without its times. A step whose loss or gradient is not finite changes nothing but
    /// the position; one in which a device fails changes nothing.
    pub(super) fn step(&mut self, batch: Batch) -> Result<StepMetrics> {
        let mut method = self.method.take().expect("no step is under way");
        let run_position = self.run_position();
        let images = batch.indices.len();
        // Shares the parameters, but has its own running statistics.
        let before = method.valid();

        let mut criterion = None;
        let step = replicated_gradients(
            &mut method,
            self.config.precision.of_views(batch.views),
            &self.config.devices,
            self.config.micro_batch.unwrap_or(images),
            run_position,
            |output| {
                criterion = self.evaluate_criterion(output);
                match &criterion {
                    Some(criterion) => output.loss.clone() + criterion.loss.clone(),
                    None => output.loss.clone(),
                }
            },
        );
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                self.method = Some(restored(method, before)?);
                return Err(error.into());
            }
        };
        let embeddings = &step.output.embeddings;

        let mut figures = Figures::default();
        let base_terms = step.output.terms.clone();
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
        figures.push("gradient", gradient_norm(&method, &step.gradients));
        let figures = figures.read();

        let skipped = figures.iter().find(|(_, value)| !value.is_finite());
        let skipped = skipped.map(|(name, _)| name.clone());
        let rank = self.steps_done().is_multiple_of(RANK_EVERY) && skipped.is_none();
        let effective_rank = rank.then(|| effective_rank(embeddings[0].clone()));
        let shape = embeddings[0].dims();
        let uniform_loss = method.uniform_loss();

        let rates = self.scheduler(&method).step();
        let learning_rate = rates.base();
        if skipped.is_some() {
            self.method = Some(restored(method, before)?);
            self.position.skipped += 1;
        } else {
            // Dropped before the update, which can then reuse the parameters' memory.
            drop(before);
            self.method = Some(self.optimizer.step(rates, method, step.gradients));
            self.position.skipped = 0;
        }

        let mut values = figures.into_iter();
        let mut terms =
            |count: usize| -> BTreeMap<String, f64> { values.by_ref().take(count).collect() };
        let base = terms(base_terms.len());
        let criterion = terms(criterion_terms.len());
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
            effective_rank,
            collapse: None,
            gradient_norm: next(),
            learning_rate,
            images_per_second: 0.0,
            wait: 0.0,
            failed_reads: batch.failures,
            skipped,
            images,
        };
        metrics.collapse =
            effective_rank.and_then(|rank| Collapse::of(metrics.embedding_std, rank, shape));
        self.advance();
        Ok(metrics)
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
fn restored<M: BaseMethod>(method: M, before: M) -> Result<M> {
    let state = before.state();
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
