use pulp::Arch;
use rayon::prelude::*;

use super::buffer::Buffer;
use super::tile::{Multiply, PANEL};

/// Bounds the memory of partial sums.
const MAX_SLICES: usize = 16;

/// The symmetric product behind the covariance and its gradient. Zbar is Psi(z) minus its column
/// means. The product is `Zbar Zbar^T`, \[n, n\], if d > n, else `Zbar^T Zbar` without its
/// diagonal, \[d, d\]. Stored in panels of [`PANEL`] columns, the last one padded.
pub(super) struct Product {
    pub matrix: Buffer,
    pub size: usize,
    pub gram_form: bool,
    sum_of_squares: f64,
}

impl Product {
    /// `compact` is Zbar, in panels.
    pub(super) fn of(arch: Arch, compact: &[f32], [n, d]: [usize; 2]) -> Self {
        let gram_form = d > n;
        let size = n.min(d);
        let panels = if gram_form {
            gram_panels(arch, compact, [n, d])
        } else {
            covariance_panels(arch, compact, [n, d])
        };
        let sums: Vec<f64> = (panels.par_iter())
            .enumerate()
            .map(|(index, panel)| {
                let (above, diagonal) = panel.split_at(index * PANEL * PANEL);
                2.0 * sum_of_squares(above) + sum_of_squares(diagonal)
            })
            .collect();

        // The part below the diagonal follows by symmetry.
        let mut matrix = Buffer::take(panels.len() * size * PANEL);
        let targets = matrix.par_chunks_mut(size * PANEL).enumerate();
        targets.for_each(|(index, target)| {
            let rows = target.as_chunks_mut::<PANEL>().0;
            for (band, rows) in rows.chunks_mut(PANEL).enumerate() {
                let source = panels[index.max(band)].as_chunks::<PANEL>().0;
                let source = &source[index.min(band) * PANEL..];
                if band <= index {
                    rows.copy_from_slice(&source[..rows.len()]);
                } else {
                    transpose(rows, source);
                }
            }
        });
        Self {
            matrix,
            size,
            gram_form,
            sum_of_squares: sums.iter().sum(),
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

/// The columns of a symmetric product, [`PANEL`] at a time, each down to the diagonal. Each row has
/// [`PANEL`] numbers; padding is 0.
type Panels = Vec<Vec<f32>>;

/// `Zbar Zbar^T`. Sums within slices of the dimensions, then over the slices. This gives tasks for
/// many threads, and a slice stays in a thread's cache from panel to panel.
fn gram_panels(arch: Arch, compact: &[f32], [n, d]: [usize; 2]) -> Panels {
    let count = n.div_ceil(PANEL);
    let slice = d.div_ceil(MAX_SLICES).next_multiple_of(2 * PANEL).max(512);
    let parts: Vec<Vec<f32>> = (0..d.div_ceil(slice) * count)
        .into_par_iter()
        .with_max_len(1)
        .map_init(
            || Buffer::take(2 * PANEL * PANEL),
            |right, task| {
                let dimensions = task / count * slice..d.min((task / count + 1) * slice);
                let first = task % count * PANEL;
                let columns = PANEL.min(n - first);
                let rows = first + columns;
                let mut part = vec![0.0; rows * PANEL];
                for start in dimensions.clone().step_by(2 * PANEL) {
                    let left = &compact[start * n..];
                    let panels = left.chunks(n * PANEL);
                    for (panel, target) in panels.zip(right.chunks_exact_mut(PANEL * PANEL)) {
                        let samples = &panel[first * PANEL..][..columns * PANEL];
                        transpose(target.as_chunks_mut().0, samples.as_chunks().0);
                    }
                    arch.dispatch(Multiply {
                        out: &mut part,
                        left,
                        left_strides: [PANEL, 1, n * PANEL],
                        right,
                        rows,
                        columns,
                        depth: (dimensions.end - start).min(2 * PANEL),
                        add: start > dimensions.start,
                    });
                }
                part
            },
        )
        .collect();
    (0..count)
        .into_par_iter()
        .map(|panel| {
            let mut sum = parts[panel].clone();
            for part in parts[panel..].iter().step_by(count).skip(1) {
                for (sum, part) in sum.iter_mut().zip(part) {
                    *sum += part;
                }
            }
            clear_beyond(&mut sum, PANEL.min(n - panel * PANEL));
            sum
        })
        .collect()
}

/// `Zbar^T Zbar` without its diagonal.
fn covariance_panels(arch: Arch, compact: &[f32], [n, d]: [usize; 2]) -> Panels {
    (0..d.div_ceil(PANEL))
        .into_par_iter()
        .with_max_len(1)
        .map(|panel| {
            let first = panel * PANEL;
            let columns = PANEL.min(d - first);
            let mut product = vec![0.0; (first + columns) * PANEL];
            for (band, out) in product.chunks_mut(PANEL * PANEL).enumerate() {
                arch.dispatch(Multiply {
                    rows: out.len() / PANEL,
                    out,
                    left: &compact[band * n * PANEL..],
                    left_strides: [1, PANEL, PANEL * PANEL],
                    right: &compact[first * n..],
                    columns,
                    depth: n,
                    add: false,
                });
            }
            let diagonal = product[first * PANEL..].iter_mut().step_by(PANEL + 1);
            diagonal.for_each(|x| *x = 0.0);
            clear_beyond(&mut product, columns);
            product
        })
        .collect()
}

/// Clears the padding columns: products fill whole vectors.
fn clear_beyond(panel: &mut [f32], columns: usize) {
    for row in panel.as_chunks_mut::<PANEL>().0 {
        row[columns..].fill(0.0);
    }
}

/// Rows of `target` are columns of `source`.
fn transpose(target: &mut [[f32; PANEL]], source: &[[f32; PANEL]]) {
    for (j, target) in target.iter_mut().enumerate() {
        for (target, source) in target.iter_mut().zip(source) {
            *target = source[j];
        }
    }
}

/// Sums a few squares in f32, and these sums in f64.
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
