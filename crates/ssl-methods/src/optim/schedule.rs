//! Learning rates over a run.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;

use crate::MethodError;
use crate::error::check;

/// A learning rate for each step: constant, or a half cosine, either after a linear warm-up. Burn's own schedulers refuse
/// rates above 1, which LARC and linear probes need.
///
/// A schedule is also a Burn [`LrScheduler`], with its position as the record, for
/// [`ModuleLrScheduler`](burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler) and its groups.
///
/// ```
/// use ssl_methods::optim::LrSchedule;
///
/// # fn main() -> Result<(), ssl_methods::MethodError> {
/// let mut schedule = LrSchedule::cosine(4.8, 0.0048, 1000)?.with_warmup(0.3, 100)?;
/// assert_eq!(schedule.rate_at(0), 0.3);
/// assert_eq!(schedule.rate_at(100), 4.8);
/// assert_eq!(schedule.rate_at(1100), 0.0048);
/// assert_eq!(schedule.next_rate(), 0.3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LrSchedule {
    rate: f64,
    end: f64,
    /// Steps from `rate` to `end`, without warm-up; none for a constant rate.
    cosine_steps: Option<usize>,
    warmup_start: f64,
    warmup_steps: usize,
    step: usize,
}

const RATE: &str = "a number of at least 0";
const STEPS: &str = "at least 1";

fn check_rate(option: &'static str, rate: f64) -> Result<(), MethodError> {
    check(rate.is_finite() && rate >= 0.0, option, rate, RATE)
}

impl LrSchedule {
    /// The same rate at every step.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if the rate is negative or not finite.
    pub fn constant(rate: f64) -> Result<Self, MethodError> {
        check_rate("learning_rate", rate)?;
        Ok(Self {
            rate,
            end: rate,
            cosine_steps: None,
            warmup_start: rate,
            warmup_steps: 0,
            step: 0,
        })
    }

    /// `end + (rate - end) (1 + cos(pi t / steps)) / 2` at step `t`, and `end` from step `steps` on.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if a rate is negative or not finite, or `steps` is 0.
    pub fn cosine(rate: f64, end: f64, steps: usize) -> Result<Self, MethodError> {
        check_rate("learning_rate", rate)?;
        check_rate("final_learning_rate", end)?;
        check(steps > 0, "steps", steps, STEPS)?;
        Ok(Self {
            end,
            cosine_steps: Some(steps),
            ..Self::constant(rate)?
        })
    }

    /// Puts `steps` steps in front, in which the rate grows linearly from `start`; it has its full value at step `steps`.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if `start` is negative or not finite.
    pub fn with_warmup(mut self, start: f64, steps: usize) -> Result<Self, MethodError> {
        check_rate("start_learning_rate", start)?;
        self.warmup_start = start;
        self.warmup_steps = steps;
        Ok(self)
    }

    /// The rate at a step, from 0.
    pub fn rate_at(&self, step: usize) -> LearningRate {
        if step < self.warmup_steps {
            let done = step as f64 / self.warmup_steps as f64;
            return self.warmup_start + (self.rate - self.warmup_start) * done;
        }
        match self.cosine_steps {
            None => self.rate,
            Some(steps) => {
                let done = (step - self.warmup_steps).min(steps) as f64 / steps as f64;
                let remaining = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                self.end + (self.rate - self.end) * remaining
            }
        }
    }

    /// The rate of the next step; moves on by one.
    pub fn next_rate(&mut self) -> LearningRate {
        let rate = self.rate_at(self.step);
        self.step += 1;
        rate
    }

    /// Moves to a step, for instance to the one a resumed run begins with.
    pub fn go_to(&mut self, step: usize) {
        self.step = step;
    }
}

const STEP: &str = "step";

impl LrScheduler for LrSchedule {
    fn step(&mut self) -> LearningRate {
        self.next_rate()
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar(STEP, self.step)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar(STEP) {
            self.step = step;
        }
    }
}
