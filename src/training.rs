//! Continued pre-training: the loop.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Tensor};
use e2mc_data::MultiCropLoader;
use e2mc_loss::E2mcLoss;
use serde::{Deserialize, Serialize};
use ssl_methods::{BaseMethod, MethodState, Progress};

use crate::metrics::BASE_LOSS;
use crate::run_folder::{create_dir, read_json, write_atomically, write_json};
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
}

/// A method in continued training.
pub struct Training<M: BaseMethod> {
    method: M,
    optimizer: ModuleOptimizer,
    config: TrainingConfig,
    progress: Progress,
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
    /// [`Error::Diverged`] if a loss term is not finite, and the errors of `on_step`.
    pub fn epoch(
        mut self,
        loader: &MultiCropLoader,
        device: &Device,
        mut on_step: impl FnMut(&StepMetrics) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        for batch in loader.epoch(self.progress.epoch, device) {
            let start = Instant::now();
            let images = batch.indices.len();
            self.method.before_step();
            let output = self.method.forward(batch.views, self.progress);
            let embedding_std = embedding_std(&output.embeddings);

            let (loss, e2mc) = if self.config.train_with_criterion {
                let e2mc = self.config.criterion.forward(&output.embeddings);
                (output.loss.clone() + e2mc.loss.clone(), e2mc)
            } else {
                let watched: Vec<_> = output.embeddings.into_iter().map(detached).collect();
                (output.loss.clone(), self.config.criterion.forward(&watched))
            };

            let gradients = loss.backward();
            let mut gradients = GradientsParams::from_grads(gradients, &self.method);
            self.method.after_gradients(&mut gradients, self.progress);
            let rate = self.config.learning_rate;
            self.method = self.optimizer.step(rate, self.method, gradients);

            // One read for all figures: each would wait for the device.
            let mut names = vec!["loss", "entropy", "covariance", "embedding std", BASE_LOSS];
            let mut values = vec![loss, e2mc.entropy, e2mc.covariance, embedding_std, output.loss];
            for (name, value) in output.terms {
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
                base: figures().skip(4).map(|(name, value)| (name.into(), value)).collect(),
                learning_rate: rate,
                images_per_second: images as f64 / start.elapsed().as_secs_f64(),
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

/// The saved state of a training after an epoch: everything that a training which was not interrupted has.
#[derive(Debug, Clone)]
pub struct EpochState {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Position {
    epoch: usize,
    iteration: usize,
}

const METHOD: &str = "method.bpk";
const METHOD_STATE: &str = "method_state.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const POSITION: &str = "position.json";

impl EpochState {
    /// The newest state of `branch` under `checkpoints`, if one was saved.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn newest(checkpoints: &Path, branch: &str) -> Result<Option<Self>, Error> {
        let prefix = format!("{branch}-epoch-");
        let mut newest: Option<(usize, PathBuf)> = None;
        for entry in std::fs::read_dir(checkpoints).map_err(Error::io(checkpoints))? {
            let path = entry.map_err(Error::io(checkpoints))?.path();
            let epoch = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_prefix(&prefix)?.parse().ok());
            if let Some(epoch) = epoch
                && newest.as_ref().is_none_or(|(best, _)| epoch > *best)
            {
                newest = Some((epoch, path));
            }
        }
        Ok(newest.map(|(_, folder)| Self { folder }))
    }

    /// Saves a training between two epochs and removes the branch's older state.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn save<M: BaseMethod>(training: &Training<M>, checkpoints: &Path) -> Result<Self, Error> {
        let branch = training.config.branch;
        let older = Self::newest(checkpoints, branch)?;
        let folder = checkpoints.join(format!("{branch}-epoch-{}", training.progress.epoch));
        let partial = checkpoints.join(format!("{branch}-partial"));
        create_dir(&partial)?;

        let file = |name: &str| partial.join(name);
        // A record of the training module would miss the last update of the running statistics.
        let method = training.method.valid().into_record().into_bytes();
        let method = method.map_err(state_error(&file(METHOD)))?;
        write_atomically(&file(METHOD), &method)?;
        let optimizer = training.optimizer.into_bytes();
        let optimizer = optimizer.map_err(state_error(&file(OPTIMIZER)))?;
        write_atomically(&file(OPTIMIZER), &optimizer)?;
        write_atomically(&file(METHOD_STATE), &training.method.state().into_bytes()?)?;
        let position = Position {
            epoch: training.progress.epoch,
            iteration: training.progress.iteration,
        };
        write_json(&file(POSITION), &position)?;

        std::fs::rename(&partial, &folder).map_err(Error::io(&folder))?;
        if let Some(Self { folder: older }) = older {
            std::fs::remove_dir_all(&older).map_err(Error::io(&older))?;
        }
        Ok(Self { folder })
    }

    /// Puts this state into a training that was created with the same configuration.
    ///
    /// # Errors
    /// If a file is missing, damaged, or of another configuration.
    pub fn restore<M: BaseMethod>(&self, training: Training<M>) -> Result<Training<M>, Error> {
        let Training {
            method,
            optimizer,
            config,
            ..
        } = training;
        let path = |name: &str| self.folder.join(name);
        let read = |name: &str| {
            let path = path(name);
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            Ok::<_, Error>(Bytes::from_bytes_vec(bytes))
        };
        let record = ModuleRecord::from_bytes(read(METHOD)?).map_err(state_error(&path(METHOD)))?;
        let mut method = method
            .try_load_record(record)
            .map_err(state_error(&path(METHOD)))?;
        method.load_state(MethodState::from_bytes(read(METHOD_STATE)?)?)?;
        let optimizer = optimizer
            .from_bytes(read(OPTIMIZER)?)
            .map_err(state_error(&path(OPTIMIZER)))?;
        let position: Position = read_json(&path(POSITION))?;
        Ok(Training {
            method,
            optimizer,
            config,
            progress: Progress {
                epoch: position.epoch,
                iteration: position.iteration,
            },
        })
    }
}

fn state_error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Error + '_ {
    move |error| Error::State {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}
