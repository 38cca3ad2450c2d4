use crate::FeaturesPart;

/// A standard deviation below this share of the mean is f32 rounding noise, not information.
const NOISE: f64 = 1e-6;

/// Per-feature shift and scale, fitted on one set of features and applied to others.
///
/// Two backbones may differ in the scale of their features. Standardization removes the effect of
/// the scale on the probe's learning rate and weight decay.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardizer {
    mean: Vec<f32>,
    /// 1 / standard deviation; 0 for a constant feature, which is thereby dropped.
    scale: Vec<f32>,
}

impl Standardizer {
    /// Fits the mean and standard deviation (divisor n) of each dimension, summed in f64.
    pub fn fit<'a>(features: impl Into<FeaturesPart<'a>>) -> Self {
        let features = features.into();
        let n = features.len() as f64;
        let rows = || (0..features.len()).map(|index| features.row(index));

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

    /// Replaces each value of the row `[d]` by `(x - mean) / std`, in f32. Features that were
    /// constant when fitted become 0.
    ///
    /// # Panics
    ///
    /// If the row does not have the fitted number of dimensions.
    pub fn apply(&self, row: &mut [f32]) {
        let (dims, fitted) = (row.len(), self.mean.len());
        assert_eq!(dims, fitted, "dimensions of a row, and of the fitted ones");
        for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
            *x = (*x - mean) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    /// The standardizer fitted on `train`, applied to `test`.
    fn standardized(train: &[f32], test: &[f32], dims: usize) -> Vec<f32> {
        let labels = vec![0; train.len() / dims];
        let train = Features::new(train.to_vec(), dims, labels, 1).unwrap();
        let standardizer = Standardizer::fit(&train);
        let mut standardized = test.to_vec();
        for row in standardized.chunks_mut(dims) {
            standardizer.apply(row);
        }
        standardized
    }

    #[test]
    fn mean_0_std_1() {
        let train = [1.0, 10.0, 3.0, 30.0];
        assert_eq!(standardized(&train, &train, 2), [-1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn constant_features_become_zero() {
        // 0.1 is not exact in binary, so its mean over three rows may be off by a rounding.
        let train = [0.1, 0.0, 0.1, 0.0, 0.1, 0.0];
        assert_eq!(standardized(&train, &train, 2), [0.0; 6]);
        assert_eq!(standardized(&train, &[7.0, -1.0], 2), [0.0; 2]);
    }

    #[test]
    #[should_panic(expected = "dimensions of a row")]
    fn other_dimensions_panic() {
        standardized(&[0.1, 0.0], &[0.0; 3], 2);
    }

    #[test]
    fn subnormal_spread_gives_no_infinity() {
        let scaled = standardized(&[0.0, 1e-44], &[0.0, 1e-44], 1);
        assert!(scaled.iter().all(|x| x.is_finite()));
    }
}
