//! Learning-rate schedules.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;

use crate::Result;
use crate::error::{ONE, check, check_weight};

/// A learning rate for each step: constant, a half cosine, or step decay, with an optional linear
/// warm-up. Burn's own schedulers reject rates above 1, which LARC and linear probes need.
///
/// A schedule is also a Burn [`LrScheduler`] with its position as the record. It works with
/// [`ModuleLrScheduler`](burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler) and its
/// groups: SimSiam's predictor keeps its rate while the rest follows a cosine.
///
/// ```
/// use ssl_methods::optim::LrSchedule;
///
/// # fn main() -> ssl_methods::Result<()> {
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
    decay: Decay,
    warmup_start: f64,
    warmup_steps: usize,
    step: usize,
}

/// How the rate falls after the warm-up.
#[derive(Debug, Clone, PartialEq)]
enum Decay {
    None,
    Cosine { end: f64, steps: usize },
    Steps { milestones: Vec<usize>, factor: f64 },
}

impl LrSchedule {
    /// The same rate at every step.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) if the rate is negative or
    /// not finite.
    pub fn constant(rate: f64) -> Result<Self> {
        check_weight("learning_rate", rate)?;
        Ok(Self {
            rate,
            decay: Decay::None,
            warmup_start: rate,
            warmup_steps: 0,
            step: 0,
        })
    }

    /// The cosine `end + (rate - end) (1 + cos(pi t / steps)) / 2` at step `t`, and `end` from step
    /// `steps` on.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) if a rate is negative or
    /// not finite, or `steps` is 0.
    pub fn cosine(rate: f64, end: f64, steps: usize) -> Result<Self> {
        check_weight("learning_rate", rate)?;
        check_weight("final_learning_rate", end)?;
        check(steps > 0, "steps", steps, ONE)?;
        Ok(Self {
            decay: Decay::Cosine { end, steps },
            ..Self::constant(rate)?
        })
    }

    /// `rate`, multiplied by `factor` at each of the `milestones`: steps in ascending order,
    /// counted from the end of the warm-up.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) if `rate` or `factor` is
    /// negative or not finite, or the milestones are not in ascending order.
    pub fn steps(rate: f64, milestones: impl Into<Vec<usize>>, factor: f64) -> Result<Self> {
        let milestones = milestones.into();
        check_weight("learning_rate", rate)?;
        check_weight("factor", factor)?;
        check(
            milestones.is_sorted_by(|a, b| a < b),
            "milestones",
            &milestones,
            "steps in rising order",
        )?;
        Ok(Self {
            decay: Decay::Steps { milestones, factor },
            ..Self::constant(rate)?
        })
    }

    /// Adds a warm-up of `steps` steps, in which the rate grows linearly from `start`. It reaches
    /// its full value at step `steps`.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) if `start` is negative or
    /// not finite.
    pub fn with_warmup(mut self, start: f64, steps: usize) -> Result<Self> {
        check_weight("start_learning_rate", start)?;
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
        let step = step - self.warmup_steps;
        match &self.decay {
            Decay::None => self.rate,
            Decay::Cosine { end, steps } => {
                let done = step.min(*steps) as f64 / *steps as f64;
                let remaining = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                end + (self.rate - end) * remaining
            }
            Decay::Steps { milestones, factor } => {
                let passed = milestones.iter().filter(|&&milestone| milestone <= step);
                passed.fold(self.rate, |rate, _| rate * factor)
            }
        }
    }

    /// Returns the rate of the next step and advances by one.
    pub fn next_rate(&mut self) -> LearningRate {
        let rate = self.rate_at(self.step);
        self.step += 1;
        rate
    }

    /// Moves to a step, for instance to the first step of a resumed run.
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
