use pulp::Arch;
use rayon::prelude::*;

use crate::FeaturesPart;

/// Added to the length by which features are divided, as in the benchmark.
const EPSILON: f64 = 1e-5;

/// Values multiplied in parallel: enough registers of any width to hide the latency of a sum.
const LANES: usize = 32;

/// Rows summed together.
const BLOCK: usize = 4;

/// Feature vectors `[n, d]` in f32, each with a constant 1 after it, and their products with f64
/// vectors `[d + 1]`.
pub(super) struct Rows {
    values: Vec<f32>,
    dims: usize,
}

impl Rows {
    /// A copy of the features, divided by their length if `normalize`.
    pub fn new(part: &FeaturesPart<'_>, normalize: bool) -> Self {
        let dims = part.dims();
        let mut values = vec![0.0f32; part.len() * dims];
        let rows = values.par_chunks_exact_mut(dims).enumerate();
        rows.for_each(|(i, copy)| {
            let row = part.row(i);
            let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let divisor = if normalize {
                squares.sqrt() + EPSILON
            } else {
                1.0
            };
            for (copy, &x) in copy.iter_mut().zip(row) {
                *copy = (f64::from(x) / divisor) as f32;
            }
        });
        Self { values, dims }
    }

    /// Length of the vectors: the features and the constant.
    pub fn width(&self) -> usize {
        self.dims + 1
    }

    /// The product of each of the given rows with the vector.
    pub fn scores(&self, rows: &[usize], vector: &[f64]) -> Vec<f64> {
        let mut scores = Vec::with_capacity(rows.len());
        // These closures return a captured value. Only then are they `FnOnce`, and inlined into the
        // function that may use wider instructions.
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                scores.extend(rows.iter().map(
                    #[inline(always)]
                    |&row| self.dot(row, vector),
                ));
                scores
            },
        )
    }

    /// The sum of the given rows, each times its factor.
    pub fn combination(&self, rows: &[usize], factors: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.width()];
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let (blocks, rest) = rows.as_chunks::<BLOCK>();
                let (block_factors, rest_factors) = factors.as_chunks::<BLOCK>();
                for (block, factors) in blocks.iter().zip(block_factors) {
                    self.add_block(*block, *factors, &mut sum);
                }
                for (&row, &factor) in rest.iter().zip(rest_factors) {
                    self.add(row, factor, &mut sum);
                }
                sum
            },
        )
    }

    /// `sum_i factor_i (x_i . vector) x_i` over the given rows, reading each row once.
    pub fn product(&self, rows: &[usize], factors: &[f64], vector: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.width()];
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let (blocks, rest) = rows.as_chunks::<BLOCK>();
                let (block_factors, rest_factors) = factors.as_chunks::<BLOCK>();
                for (block, factors) in blocks.iter().zip(block_factors) {
                    let mut factors = *factors;
                    for (factor, &row) in factors.iter_mut().zip(block) {
                        *factor *= self.dot(row, vector);
                    }
                    self.add_block(*block, factors, &mut sum);
                }
                for (&row, &factor) in rest.iter().zip(rest_factors) {
                    self.add(row, factor * self.dot(row, vector), &mut sum);
                }
                sum
            },
        )
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dims..][..self.dims]
    }

    /// The product of a row with the vector.
    #[inline(always)]
    fn dot(&self, row: usize, vector: &[f64]) -> f64 {
        let (features, bias) = vector.split_at(self.dims);
        let (features, features_rest) = features.as_chunks::<LANES>();
        let (row, row_rest) = self.row(row).as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for (row, features) in row.iter().zip(features) {
            for ((sum, &x), v) in sums.iter_mut().zip(row).zip(features) {
                *sum += f64::from(x) * v;
            }
        }
        let rest = row_rest.iter().zip(features_rest);
        bias[0] + sums.iter().sum::<f64>() + rest.map(|(&x, v)| f64::from(x) * v).sum::<f64>()
    }

    /// Adds four rows, each times its factor, reading and writing the sum once.
    #[inline(always)]
    fn add_block(&self, rows: [usize; BLOCK], factors: [f64; BLOCK], sum: &mut [f64]) {
        let [a, b, c, d] = rows.map(|row| self.row(row));
        let (features, bias) = sum.split_at_mut(self.dims);
        for ((((sum, &a), &b), &c), &d) in features.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (factors[0] * f64::from(a) + factors[1] * f64::from(b))
                + (factors[2] * f64::from(c) + factors[3] * f64::from(d));
        }
        bias[0] += factors.iter().sum::<f64>();
    }

    #[inline(always)]
    fn add(&self, row: usize, factor: f64, sum: &mut [f64]) {
        let (features, bias) = sum.split_at_mut(self.dims);
        for (sum, &x) in features.iter_mut().zip(self.row(row)) {
            *sum += factor * f64::from(x);
        }
        bias[0] += factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    #[test]
    fn products_by_hand() {
        // 18 dimensions: one chunk and a remainder. 6 rows: one block and a remainder.
        let value = |row: usize, dim: usize| ((row * 5 + dim * 3) % 7) as f32 - 2.0;
        let values = (0..6 * 18).map(|i| value(i / 18, i % 18)).collect();
        let features = Features::new(values, 18, vec![0; 6], 1).unwrap();
        let rows = Rows::new(&(&features).into(), false);
        let with_constant = |row: usize| -> Vec<f64> {
            let features = (0..18).map(|dim| f64::from(value(row, dim)));
            features.chain([1.0]).collect()
        };
        let vector: Vec<f64> = (0..19).map(|i| f64::from(i % 4) - 1.5).collect();
        let which = [5, 0, 3, 3, 1, 2];
        let factors = [1.0, -2.0, 0.5, 3.0, 0.25, -1.0];

        let dot = |row| -> f64 {
            let pairs = with_constant(row).into_iter().zip(&vector);
            pairs.map(|(x, v)| x * v).sum()
        };
        assert_eq!(rows.scores(&which, &vector), which.map(dot));
        let mut sum = vec![0.0; 19];
        let mut product = vec![0.0; 19];
        for (row, factor) in which.into_iter().zip(factors) {
            for (i, x) in with_constant(row).into_iter().enumerate() {
                sum[i] += factor * x;
                product[i] += factor * dot(row) * x;
            }
        }
        assert_eq!(rows.combination(&which, &factors), sum);
        assert_eq!(rows.product(&which, &factors, &vector), product);
    }

    #[test]
    fn normalised_rows_have_length_1() {
        let features = Features::new(vec![3.0, 4.0, 0.0, 0.0], 2, vec![0; 2], 1).unwrap();
        let rows = Rows::new(&(&features).into(), true);
        let lengths = rows.scores(&[0], &[0.6, 0.8, 0.0]);
        assert!((lengths[0] - 5.0 / (5.0 + 1e-5)).abs() < 1e-6);
        assert_eq!(rows.scores(&[1], &[1.0, 1.0, 0.5]), [0.5]);
    }
}
