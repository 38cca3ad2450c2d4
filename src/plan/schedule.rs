use serde::{Deserialize, Serialize};
use ssl_methods::MethodError;
use ssl_methods::optim::LrSchedule;

/// The learning rate over a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulePlan {
    /// The rate after the warm-up, positive. Not scaled by the batch size.
    pub learning_rate: f64,
    /// Decay after the warm-up.
    pub decay: Decay,
    /// Epochs in which the rate grows linearly from 0.
    pub warmup_epochs: usize,
}

/// Learning-rate decay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decay {
    /// No decay, as in the paper's continued pre-training.
    Constant,
    /// Along a half cosine to 0 at the end of the run, as in training from scratch.
    Cosine,
}

impl SchedulePlan {
    /// The same rate at every step.
    pub fn constant(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            decay: Decay::Constant,
            warmup_epochs: 0,
        }
    }

    /// One epoch of warm-up, then a half cosine to 0.
    pub fn cosine(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            decay: Decay::Cosine,
            warmup_epochs: 1,
        }
    }

    /// The rate of each step of a run of `epochs` epochs.
    ///
    /// # Errors
    ///
    /// If the rate is negative or not finite.
    pub fn rates(&self, epochs: usize, steps_per_epoch: usize) -> Result<LrSchedule, MethodError> {
        let warmup = self.warmup_epochs.min(epochs) * steps_per_epoch;
        let schedule = match self.decay {
            Decay::Constant => LrSchedule::constant(self.learning_rate)?,
            Decay::Cosine => {
                let steps = (epochs * steps_per_epoch).saturating_sub(warmup).max(1);
                LrSchedule::cosine(self.learning_rate, 0.0, steps)?
            }
        };
        schedule.with_warmup(0.0, warmup)
    }
}
