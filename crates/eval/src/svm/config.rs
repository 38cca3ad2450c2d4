use burn::config::Config;

use crate::{EvalError, Result};

/// The paper's values of C (App. B.2).
const VOC07_COSTS: [f64; 23] = [
    1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0,
    15.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0,
];

/// Settings of [`svm`](super::svm); the defaults are the VOC07 benchmark's.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct SvmConfig {
    /// Values of C to choose from: positive, in ascending order.
    #[config(default = "VOC07_COSTS.to_vec()")]
    pub costs: Vec<f64>,
    /// Weight of the loss of positive images; positive. Negative images have weight 1.
    #[config(default = 2.0)]
    pub positive_weight: f64,
    /// Folds of the cross-validation, at least 2. Stratified and not shuffled, like scikit-learn's
    /// `StratifiedKFold`.
    #[config(default = 3)]
    pub folds: usize,
    /// Whether to divide the features of each image by their length (plus 1e-5).
    #[config(default = true)]
    pub normalize: bool,
    /// Whether images that show a class only as "difficult" objects are negatives in training and
    /// cross-validation, as in the benchmark. If not, they are left out. Such test images are
    /// always left out.
    #[config(default = true)]
    pub difficult_as_negative: bool,
}

impl Default for SvmConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl SvmConfig {
    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`EvalError::InvalidOption`] for the first option out of range.
    pub fn validate(&self) -> Result<()> {
        let check = |valid: bool, option, value: String, expected| {
            if valid {
                return Ok(());
            }
            Err(EvalError::InvalidOption {
                option,
                value,
                expected,
            })
        };
        let positive = |x: f64| x > 0.0 && x.is_finite();
        check(
            !self.costs.is_empty()
                && self.costs.iter().all(|&cost| positive(cost))
                && self.costs.is_sorted_by(|a, b| a < b),
            "costs",
            format!("{:?}", self.costs),
            "at least one number above 0, in ascending order",
        )?;
        check(
            positive(self.positive_weight),
            "positive_weight",
            self.positive_weight.to_string(),
            "a number above 0",
        )?;
        check(
            self.folds >= 2,
            "folds",
            self.folds.to_string(),
            "at least 2",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_named() {
        let ok = SvmConfig::new();
        assert_eq!(ok.validate(), Ok(()));
        let cases = [
            ("costs", ok.clone().with_costs(vec![])),
            ("costs", ok.clone().with_costs(vec![0.0, 1.0])),
            ("costs", ok.clone().with_costs(vec![1.0, 1.0])),
            ("positive_weight", ok.clone().with_positive_weight(f64::NAN)),
            ("folds", ok.clone().with_folds(1)),
        ];
        for (option, config) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(option), "{message}");
        }
    }
}
