use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EvalError, Result};

/// Mean and spread of a value over trials (seeds, label draws).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Mean of the trials.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); `None` for a single trial.
    pub std: Option<f64>,
    /// Number of trials.
    pub n: usize,
}

impl Summary {
    /// Summary of the given trials.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] if there is no trial.
    pub fn of(trials: &[f64]) -> Result<Self> {
        if trials.is_empty() {
            return Err(EvalError::Empty {
                what: "trials to summarize",
            });
        }
        let n = trials.len();
        let mean = trials.iter().sum::<f64>() / n as f64;
        let std = (n > 1).then(|| {
            let squares: f64 = trials.iter().map(|x| (x - mean).powi(2)).sum();
            (squares / (n - 1) as f64).sqrt()
        });
        Ok(Self { mean, std, n })
    }

    /// Standard error of the mean, `std / sqrt(n)`; `None` for a single trial.
    pub fn standard_error(&self) -> Option<f64> {
        self.std.map(|std| std / (self.n as f64).sqrt())
    }
}

/// `68.10 ± 0.61`, or `68.10` for a single trial. The format's precision applies (default 2).
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$}", self.mean)?;
        match self.std {
            Some(std) => write!(f, " ± {std:.digits$}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let summary = Summary::of(&[1.0, 2.0, 3.0, 6.0]).unwrap();
        assert_eq!(summary.mean, 3.0);
        assert_eq!(summary.std, Some((14.0f64 / 3.0).sqrt()));
        assert_eq!(summary.standard_error(), Some((14.0f64 / 3.0).sqrt() / 2.0));
        assert_eq!(format!("{summary:.1}"), "3.0 ± 2.2");
    }

    #[test]
    fn one_trial_has_no_spread() {
        let summary = Summary::of(&[81.5]).unwrap();
        assert_eq!(summary.to_string(), "81.50");
        assert_eq!(summary.standard_error(), None);
        assert!(Summary::of(&[]).is_err());
    }
}
