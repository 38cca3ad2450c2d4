use rayon::prelude::*;

use super::matrix::{View, column_stride, multiply};

/// Columns of the product that one task computes.
const BLOCK: usize = 64;

/// The symmetric product from which the covariance and its gradient come, with Zbar = Psi(z) minus
/// its column means: `Zbar Zbar^T`, \[n, n\], if d > n, else `Zbar^T Zbar` without its diagonal,
/// \[d, d\].
pub(super) struct Product {
    pub matrix: Vec<f32>,
    pub size: usize,
    pub gram_form: bool,
    sum_of_squares: f64,
}

impl Product {
    /// `compact` is Zbar, column by column.
    pub(super) fn of(compact: &[f32], [n, d]: [usize; 2]) -> Self {
        let gram_form = d > n;
        let size = n.min(d);
        let columns = View::row_major(compact, d, n, column_stride(n));
        // The product is `factor factor^T`.
        let factor = if gram_form {
            columns.transposed()
        } else {
            columns
        };

        // One task has some columns down to the diagonal; the rest follows by symmetry. Long and short
        // columns in turn, so that halves of the list are equal work.
        let count = size.div_ceil(BLOCK);
        let tasks: Vec<usize> = (0..count)
            .map(|k| if k % 2 == 0 { count - 1 - k / 2 } else { k / 2 })
            .collect();
        let products: Vec<(usize, Vec<f32>, f64)> = tasks
            .into_par_iter()
            .with_max_len(1)
            .map(|task| {
                let first = task * BLOCK;
                let columns = BLOCK.min(size - first);
                let rows = first + columns;
                let mut product = vec![0.0; rows * columns];
                let (left, right) = (factor.rows(0, rows), factor.rows(first, columns));
                multiply(&mut product, left, right.transposed());
                let (above, diagonal) = product.split_at_mut(first * columns);
                if !gram_form {
                    let entries = diagonal.iter_mut().step_by(columns + 1);
                    entries.for_each(|x| *x = 0.0);
                }
                let sum = 2.0 * sum_of_squares(above) + sum_of_squares(diagonal);
                (first, product, sum)
            })
            .collect();

        let mut matrix = vec![0.0; size * size];
        let mut total = 0.0;
        for (first, product, sum) in products {
            let columns = BLOCK.min(size - first);
            for (i, row) in product.chunks_exact(columns).enumerate() {
                matrix[i * size + first..][..columns].copy_from_slice(row);
                if i < first {
                    for (j, x) in (first..).zip(row) {
                        matrix[j * size + i] = *x;
                    }
                }
            }
            total += sum;
        }
        Self {
            matrix,
            size,
            gram_form,
            sum_of_squares: total,
        }
    }

    /// Sum of the squared off-diagonal elements of `Zbar^T Zbar`, given the sum of the squared
    /// diagonal ones.
    pub(super) fn off_diagonal(&self, squared_diagonal: f64) -> f64 {
        if self.gram_form {
            self.sum_of_squares - squared_diagonal
        } else {
            self.sum_of_squares
        }
    }
}

/// In f32 over a few squares, in f64 over these sums.
fn sum_of_squares(x: &[f32]) -> f64 {
    x.chunks(64)
        .map(|x| {
            let mut lanes = [0f32; 16];
            for (index, x) in x.iter().enumerate() {
                lanes[index % 16] += x * x;
            }
            lanes.iter().map(|&x| f64::from(x)).sum::<f64>()
        })
        .sum()
}
