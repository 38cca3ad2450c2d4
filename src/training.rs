//! Continued pre-training: the loop.

use std::time::Instant;

use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};
use e2mc_data::Loader;
use e2mc_loss::{E2mcLoss, E2mcOutput};
use ssl_methods::{BaseMethod, MethodOutput, Progress, accumulated_gradients};

use crate::metrics::BASE_LOSS;
use crate::{Error, OptimizerConfig, StepMetrics};

/// How a branch trains.
#[derive(Debug, Clone)]
pub struct TrainingConfig {
    /// Name of the branch in metrics and messages.
    pub branch: &'static str,
    /// Epochs in all, at least 1.
    pub epochs: usize,
    /// Constant learning rate.
    pub learning_rate: f64,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The criterion on the method's embeddings.
    pub criterion: E2mcLoss,
    /// Whether the criterion is added to the base loss. If not, it is computed for the log only, without gradient.
    pub train_with_criterion: bool,
    /// Images that pass the network at once; all of a batch if none. See [`accumulated_gradients`].
    pub micro_batch: Option<usize>,
}

impl TrainingConfig {
    /// What is minimised, and the criterion's values.
    fn judge(&self, output: &MethodOutput) -> (Tensor<1>, E2mcOutput) {
        if self.train_with_criterion {
            let e2mc = self.criterion.forward(&output.embeddings);
            (output.loss.clone() + e2mc.loss.clone(), e2mc)
        } else {
            let watched: Vec<_> = output.embeddings.iter().cloned().map(detached).collect();
            (output.loss.clone(), self.criterion.forward(&watched))
        }
    }
}

/// A method in continued training.
pub struct Training<M: BaseMethod> {
    pub(crate) method: M,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) config: TrainingConfig,
    pub(crate) progress: Progress,
}

impl<M: BaseMethod> Training<M> {
    /// A training of `method` from its first step on. The method must be on an autodiff device and share no batch
    /// normalisation with another: `clone()` does.
    ///
    /// # Errors
    /// If an option of the optimiser is outside its range.
    pub fn new(method: M, config: TrainingConfig) -> Result<Self, Error> {
        Ok(Self {
            method,
            optimizer: config.optimizer.init()?,
            config,
            progress: Progress::default(),
        })
    }

    /// Whether all epochs are done.
    pub fn is_finished(&self) -> bool {
        self.progress.epoch >= self.config.epochs
    }

    /// Steps done.
    pub fn iteration(&self) -> usize {
        self.progress.iteration
    }

    /// The method as trained so far.
    pub fn into_method(self) -> M {
        self.method
    }

    /// Trains one epoch. `on_step` gets the figures of each step, and stops the training with an error.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a loss term is not finite, the loader's errors and those of `on_step`.
    pub fn epoch(
        mut self,
        loader: &Loader,
        device: &Device,
        mut on_step: impl FnMut(&StepMetrics) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        for batch in loader.epoch(self.progress.epoch, device) {
            let batch = batch?;
            let start = Instant::now();
            let images = batch.indices.len();
            self.method.before_step();
            let mut watched = None;
            let step = accumulated_gradients(
                &mut self.method,
                batch.views,
                self.config.micro_batch.unwrap_or(images),
                self.progress,
                |output| {
                    let (loss, e2mc) = self.config.judge(output);
                    watched = Some(e2mc);
                    loss
                },
            );
            let e2mc: E2mcOutput = watched.expect("the loss was computed");
            let embedding_std = embedding_std(&step.output.embeddings);
            let mut gradients = step.gradients;
            self.method.after_gradients(&mut gradients, self.progress);
            let rate = self.config.learning_rate;
            self.method = self.optimizer.step(rate, self.method, gradients);

            // One read for all figures: each would wait for the device.
            let mut names = vec!["loss", "entropy", "covariance", "embedding std", BASE_LOSS];
            let mut values = vec![
                step.loss,
                e2mc.entropy,
                e2mc.covariance,
                embedding_std,
                step.output.loss,
            ];
            for (name, value) in step.output.terms {
                names.push(name);
                values.push(value);
            }
            let values = read(values);
            let figures = || names.iter().copied().zip(values.iter().copied());
            if let Some((term, _)) = figures().find(|(_, value)| !value.is_finite()) {
                return Err(Error::Diverged {
                    branch: self.config.branch,
                    term: term.into(),
                    step: self.progress.iteration,
                });
            }
            on_step(&StepMetrics {
                branch: self.config.branch.into(),
                epoch: self.progress.epoch,
                step: self.progress.iteration,
                loss: values[0],
                entropy: values[1],
                covariance: values[2],
                embedding_std: values[3],
                base: figures()
                    .skip(4)
                    .map(|(name, value)| (name.into(), value))
                    .collect(),
                learning_rate: rate,
                images_per_second: images as f64 / start.elapsed().as_secs_f64(),
                failed_reads: batch.failures,
            })?;
            self.progress.iteration += 1;
        }
        self.progress.epoch += 1;
        Ok(self)
    }
}

fn detached(tensor: Tensor<2>) -> Tensor<2> {
    tensor.without_autodiff()
}

/// Mean standard deviation of the embeddings' dimensions over a batch, averaged over the views.
fn embedding_std(embeddings: &[Tensor<2>]) -> Tensor<1> {
    let views = embeddings
        .iter()
        .map(|z| detached(z.clone()).var(0).sqrt().mean())
        .collect();
    Tensor::cat(views, 0).mean()
}

fn read(scalars: Vec<Tensor<1>>) -> Vec<f64> {
    let scalars = scalars.into_iter().map(Tensor::without_autodiff).collect();
    Tensor::cat(scalars, 0).into_data().iter::<f64>().collect()
}
