use rayon::prelude::*;

use super::layout::Layout;
use super::matrix::{View, multiply};

/// Rows and columns of the product that one task computes.
const BLOCK: usize = 128;
/// The same for small products, so that two threads have something to share.
const SMALL_BLOCK: usize = 64;

/// The symmetric product from which the covariance and its gradient come, with Zbar = Psi(z) minus
/// its column means: `Zbar Zbar^T`, \[n, n\], or `Zbar^T Zbar` without its diagonal, \[d, d\].
pub(super) struct Product {
    pub matrix: Vec<f32>,
    pub size: usize,
    sum_of_squares: f64,
    gram_form: bool,
}

impl Product {
    pub(super) fn of(compact: &[f32], layout: Layout) -> Self {
        let Layout { n, d, .. } = layout;
        let gram_form = layout.gram_form();
        let size = n.min(d);
        // The product is the sum over these of `factor factor^T`.
        let factors: Vec<View> = layout
            .panels()
            .map(|panel| {
                let data = &compact[panel.offset..];
                let panel = View::row_major(data, n, panel.width, panel.width);
                if gram_form { panel } else { panel.transposed() }
            })
            .collect();

        let block = if size > 2 * BLOCK { BLOCK } else { SMALL_BLOCK };
        let starts = || (0..size).step_by(block);
        // The lower half follows by symmetry.
        let blocks: Vec<(usize, usize)> = starts()
            .flat_map(|i| starts().filter(move |&j| j >= i).map(move |j| (i, j)))
            .collect();
        let products: Vec<(Vec<f32>, f64)> = blocks
            .par_iter()
            .map(|&(i, j)| {
                let (rows, columns) = (block.min(size - i), block.min(size - j));
                let mut product = vec![0.0; rows * columns];
                for (index, factor) in factors.iter().enumerate() {
                    let (left, right) = (factor.rows(i, rows), factor.rows(j, columns));
                    multiply(&mut product, columns, left, right.transposed(), index > 0);
                }
                if i == j && !gram_form {
                    product
                        .iter_mut()
                        .step_by(columns + 1)
                        .for_each(|x| *x = 0.0);
                }
                let sum = sum_of_squares(&product);
                (product, if i == j { sum } else { 2.0 * sum })
            })
            .collect();

        let mut matrix = vec![0.0; size * size];
        for (&(i, j), (product, _)) in blocks.iter().zip(&products) {
            let columns = block.min(size - j);
            for (r, row) in product.chunks_exact(columns).enumerate() {
                matrix[(i + r) * size + j..][..columns].copy_from_slice(row);
                if i != j {
                    for (c, x) in row.iter().enumerate() {
                        matrix[(j + c) * size + i + r] = *x;
                    }
                }
            }
        }
        Self {
            matrix,
            size,
            sum_of_squares: products.iter().map(|(_, sum)| sum).sum(),
            gram_form,
        }
    }

    /// Sum of the squared off-diagonal elements of `Zbar^T Zbar`, given the sum of the squared diagonal
    /// ones.
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
