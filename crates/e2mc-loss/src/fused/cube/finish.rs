//! From the columns and the products of matrices to the loss and its gradient.

use cubecl::prelude::*;

use super::math::finite_or_zero;
use super::reduce::cube_sum;
use super::space::density;
use crate::CompactSpace;

/// Each cube's share of the sum of squares of a matrix, \[size, size\]; with `off_diagonal` its
/// diagonal is set to 0 first.
#[cube(launch)]
pub(super) fn sum_of_squares(
    matrix: &mut [f32],
    partial: &mut [f32],
    size: u32,
    #[comptime] off_diagonal: bool,
    #[comptime] threads: usize,
) {
    let mut scratch = Shared::<[f32]>::new_slice(threads);
    let mut sum = 0.0f32;
    let mut element = ABSOLUTE_POS;
    while element < matrix.len() {
        let mut x = matrix[element];
        if comptime!(off_diagonal) {
            // The elements of the diagonal are size + 1 apart.
            if element % (size as usize + 1) == 0 {
                x = 0.0;
                matrix[element] = x;
            }
        }
        sum += x * x;
        element += partial.len() * threads;
    }
    let sum = cube_sum(&mut scratch, sum, threads, 1usize);
    if UNIT_POS == 0 && CUBE_POS < partial.len() {
        partial[CUBE_POS] = sum;
    }
}

/// Weights of the terms in the loss.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Weights {
    pub entropy: f32,
    pub covariance: f32,
    /// 1 / (d (n-1)^2), by which a sum of squares becomes the covariance.
    pub scale: f32,
}

/// Computes the loss and `[entropy, covariance]` in one cube. In the Gram form, the sums still
/// include the squared diagonal.
#[cube(launch)]
pub(super) fn value(
    entropies: &[f32],
    squares: &[f32],
    partial: &[f32],
    loss: &mut [f32],
    terms: &mut [f32],
    weights: Weights,
    #[comptime] gram_form: bool,
    #[comptime] threads: usize,
) {
    let mut scratch = Shared::<[f32]>::new_slice(threads);
    let d = entropies.len();
    let mut entropy = 0.0f32;
    let mut diagonal = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < d {
        entropy += entropies[column];
        let square = squares[column];
        diagonal += square * square;
        column += threads;
    }
    let mut sum = 0.0f32;
    let mut part = UNIT_POS as usize;
    while part < partial.len() {
        sum += partial[part];
        part += threads;
    }
    let entropy = cube_sum(&mut scratch, entropy, threads, 1usize) / f32::cast_from(d as u32);
    let mut sum = cube_sum(&mut scratch, sum, threads, 1usize);
    if comptime!(gram_form) {
        sum -= cube_sum(&mut scratch, diagonal, threads, 1usize);
    }
    if UNIT_POS == 0 {
        let covariance = sum * weights.scale;
        loss[0] = weights.covariance * covariance - weights.entropy * entropy;
        terms[0] = entropy;
        terms[1] = covariance;
    }
}

/// Adds the slope of the covariance term to the slope of the entropy term in `gradient`, and
/// multiplies the sum by Psi'(z). In the Gram form, `slope` includes the diagonal's part.
#[cube(launch)]
pub(super) fn gradient(
    z: &[f32],
    compact: &[f32],
    squares: &[f32],
    slope: &[f32],
    gradient: &mut [f32],
    factor: f32,
    #[comptime] gram_form: bool,
    #[comptime] space: CompactSpace,
) {
    let element = ABSOLUTE_POS;
    if element < gradient.len() {
        let mut covariance = slope[element];
        if comptime!(gram_form) {
            covariance -= squares[element % squares.len()] * compact[element];
        }
        let psi_slope = gradient[element] + factor * covariance;
        gradient[element] = psi_slope * density(finite_or_zero(z[element]), space);
    }
}
