use crate::{EvalError, Features};

/// Spreads below this share of the mean are rounding noise of f32, not information.
const NOISE: f64 = 1e-6;

/// Per-feature shift and scale, taken from one set of features and applied to others.
///
/// Two backbones may differ in the scale of their features alone; standardised, they meet the
/// probe's learning rate and weight decay on equal terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardizer {
    mean: Vec<f32>,
    /// 1 / standard deviation; 0 for a constant feature, which is thereby dropped.
    scale: Vec<f32>,
}

impl Standardizer {
    /// Mean and standard deviation (divisor n) of each dimension, summed in f64.
    pub fn fit(features: &Features) -> Self {
        let n = features.len() as f64;
        let rows = || features.values().chunks_exact(features.dims());

        let mut mean = vec![0.0; features.dims()];
        for row in rows() {
            for (sum, &x) in mean.iter_mut().zip(row) {
                *sum += f64::from(x);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= n);

        let mut variance = vec![0.0; features.dims()];
        for row in rows() {
            for ((sum, &x), mean) in variance.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(x) - mean).powi(2);
            }
        }
        let scale = variance.iter().zip(&mean).map(|(squares, mean)| {
            let std = (squares / n).sqrt();
            let scale = (1.0 / std) as f32;
            if std > NOISE * mean.abs() && scale.is_finite() {
                scale
            } else {
                0.0
            }
        });
        Self {
            scale: scale.collect(),
            mean: mean.iter().map(|&mean| mean as f32).collect(),
        }
    }

    /// `(x - mean) / std` of each value, in f32. Features that were constant when fitted become 0.
    ///
    /// # Errors
    /// [`EvalError::DimensionMismatch`] if the dimensions differ from the fitted ones.
    pub fn apply(&self, features: &Features) -> Result<Features, EvalError> {
        if features.dims() != self.mean.len() {
            return Err(EvalError::DimensionMismatch {
                train: self.mean.len(),
                test: features.dims(),
            });
        }
        let mut values = features.values().to_vec();
        for row in values.chunks_exact_mut(self.mean.len()) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (*x - mean) * scale;
            }
        }
        Ok(features.with_values(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(values: Vec<f32>, dims: usize) -> Features {
        let n = values.len() / dims;
        Features::new(values, dims, vec![0; n], 1).unwrap()
    }

    #[test]
    fn mean_0_std_1() {
        let train = features(vec![1.0, 10.0, 3.0, 30.0], 2);
        let scaled = Standardizer::fit(&train).apply(&train).unwrap();
        assert_eq!(scaled.values(), [-1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn constant_features_become_zero() {
        // 0.1 is not exact in binary, so its mean over three rows may be off by a rounding.
        let train = features(vec![0.1, 0.0, 0.1, 0.0, 0.1, 0.0], 2);
        let test = features(vec![7.0, -1.0], 2);
        let standardizer = Standardizer::fit(&train);
        assert_eq!(standardizer.apply(&train).unwrap().values(), [0.0; 6]);
        assert_eq!(standardizer.apply(&test).unwrap().values(), [0.0; 2]);
        assert!(standardizer.apply(&features(vec![1.0], 1)).is_err());
    }

    #[test]
    fn subnormal_spread_gives_no_infinity() {
        let train = features(vec![0.0, 1e-44], 1);
        let scaled = Standardizer::fit(&train).apply(&train).unwrap();
        assert!(scaled.values().iter().all(|x| x.is_finite()));
    }
}
