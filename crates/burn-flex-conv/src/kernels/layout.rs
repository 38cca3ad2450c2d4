//! From channels first to channels last, and back.

use rayon::prelude::*;

use super::memory::{Shared, filled};

/// Rows and columns of a tile that stays in the L1 cache.
const TILE: usize = 32;
/// Rows of the result per task.
const TASK: usize = 256;

/// Transposes `[batch, rows, columns]` to `[batch, columns, rows]`. With channels as rows and
/// positions as columns, this gives channels last; with the roles exchanged, it gives channels
/// first.
///
/// # Panics
///
/// If the length is not a whole number of matrices.
pub fn transpose(input: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let matrix = rows * columns;
    assert!(matrix > 0 && input.len().is_multiple_of(matrix));
    let work = |out: &mut [f32]| {
        let out = Shared::new(out);
        let tasks = columns.div_ceil(TASK);
        (0..input.len() / matrix * tasks)
            .into_par_iter()
            .for_each(|task| {
                let (image, part) = (task / tasks, task % tasks);
                let input = &input[image * matrix..][..matrix];
                let wanted = part * TASK..columns.min((part + 1) * TASK);
                let start = image * matrix;
                // SAFETY: each task has its own rows of the result.
                let out =
                    unsafe { out.part(start + wanted.start * rows..start + wanted.end * rows) };
                for row in (0..rows).step_by(TILE) {
                    for column in wanted.clone().step_by(TILE) {
                        for c in column..wanted.end.min(column + TILE) {
                            let out = &mut out[(c - wanted.start) * rows..][..rows];
                            for r in row..rows.min(row + TILE) {
                                out[r] = input[r * columns + c];
                            }
                        }
                    }
                }
            });
    };
    // SAFETY: the tasks together set every value.
    unsafe { filled(input.len(), work) }
}
