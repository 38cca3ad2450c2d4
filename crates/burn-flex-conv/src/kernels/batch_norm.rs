//! Batch normalization with batch statistics, and an optional residual and ReLU. Forward and
//! backward take two passes each. The normalized value is recomputed, not stored.
//!
//! No fused multiply-add is used. So all instruction sets give the same bits, and the backward pass
//! finds the same signs as the forward pass.

use pulp::Arch;
use rayon::prelude::*;

use super::columns::Cut;
use super::memory::{Shared, filled};

/// The statistics of each channel over a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Mean.
    pub mean: Vec<f32>,
    /// Biased variance: the mean squared distance to the mean.
    pub variance: Vec<f32>,
}

/// Mean and biased variance of each channel of `x`, `[rows, channels]`, at least one row.
///
/// Differences to the first row are summed, 32 rows in f32 and then in f64. So a mean far from 0
/// loses no digits.
///
/// # Panics
///
/// If `x` is not a whole number of rows, or empty.
pub fn statistics(arch: Arch, x: &[f32], channels: usize) -> Statistics {
    let cut = Cut::new(x.len(), channels);
    let shift = &x[..channels];
    let wide_shift = cut.widen(shift);
    let [sums, squares] = cut.sums(|values, sums, squares| {
        arch.dispatch(
            #[inline(always)]
            || {
                for row in x[values].chunks(cut.width) {
                    let sums = sums.iter_mut().zip(squares.iter_mut());
                    for ((x, shift), (sum, square)) in row.iter().zip(&wide_shift).zip(sums) {
                        let x = x - shift;
                        *sum += x;
                        *square += x * x;
                    }
                }
            },
        );
    });
    let count = (x.len() / channels) as f64;
    let (mean, variance) = (sums.iter().zip(&squares).zip(shift))
        .map(|((sum, square), &shift)| {
            let mean = sum / count;
            let variance = (square / count - mean * mean).max(0.0);
            ((f64::from(shift) + mean) as f32, variance as f32)
        })
        .unzip();
    Statistics { mean, variance }
}

/// Normalizes each channel: `(x - mean) * scale + shift`.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// Subtracted first.
    pub mean: Vec<f32>,
    /// `weight / sqrt(variance + epsilon)`.
    pub scale: Vec<f32>,
    /// The bias.
    pub shift: Vec<f32>,
}

/// `(x - mean) * scale + shift`, plus `residual` if there is one, and then at least 0 if `relu`.
/// `x`, `residual` and the result are `[rows, channels]`.
///
/// # Panics
///
/// If lengths do not match.
pub fn normalize(
    arch: Arch,
    x: &[f32],
    affine: &Affine,
    residual: Option<&[f32]>,
    relu: bool,
) -> Vec<f32> {
    let cut = Cut::new(x.len(), affine.mean.len());
    let [mean, scale, shift] =
        [&affine.mean, &affine.scale, &affine.shift].map(|values| cut.widen(values));
    assert!(residual.is_none_or(|residual| residual.len() == x.len()));
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    let work = |out: &mut [f32]| {
        let out = Shared::new(out);
        (0..cut.tasks()).into_par_iter().for_each(|task| {
            let values = cut.values(task);
            // SAFETY: each task has its own values.
            let out = unsafe { out.part(values.clone()) };
            let x = &x[values.clone()];
            arch.dispatch(
                #[inline(always)]
                || {
                    let rows = x.chunks(cut.width).zip(out.chunks_mut(cut.width));
                    let affine = mean.iter().zip(&scale).zip(&shift);
                    match residual {
                        None => {
                            for (x, out) in rows {
                                let affine = affine.clone();
                                for ((out, x), ((mean, scale), shift)) in
                                    out.iter_mut().zip(x).zip(affine)
                                {
                                    *out = at_least((x - mean) * scale + shift, least);
                                }
                            }
                        }
                        Some(residual) => {
                            let residual = residual[values].chunks(cut.width);
                            for ((x, out), residual) in rows.zip(residual) {
                                let affine = affine.clone();
                                let x = x.iter().zip(residual);
                                for ((out, (x, residual)), ((mean, scale), shift)) in
                                    out.iter_mut().zip(x).zip(affine)
                                {
                                    let y = (x - mean) * scale + shift + residual;
                                    *out = at_least(y, least);
                                }
                            }
                        }
                    }
                },
            );
        });
    };
    // SAFETY: the tasks together set every value.
    unsafe { filled(x.len(), work) }
}

/// As PyTorch's ReLU, NaN stays NaN.
#[inline(always)]
fn at_least(y: f32, least: f32) -> f32 {
    if y < least { least } else { y }
}

/// Values of the forward pass that the backward pass needs.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// The input, `[rows, channels]`.
    pub x: &'a [f32],
    /// The map that normalized it.
    pub affine: &'a Affine,
    /// `1 / sqrt(variance + epsilon)` of each channel.
    pub inverse_deviation: &'a [f32],
    /// Whether a ReLU came last.
    pub relu: bool,
    /// The output, `[rows, channels]`, if a residual was added before the ReLU. Without one, the
    /// sign is computed from `x`.
    pub output: Option<&'a [f32]>,
}

/// The gradients of a batch normalization.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// Of the weight.
    pub weight: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
    /// Of the input, `[rows, channels]`.
    pub x: Vec<f32>,
    /// Of the residual, if `output` was given.
    pub residual: Option<Vec<f32>>,
}

/// The gradients, given the gradient of the output, `[rows, channels]`.
///
/// # Panics
///
/// If lengths do not match.
pub fn normalize_backward(arch: Arch, gradient: &[f32], forward: Forward<'_>) -> Gradients {
    let Forward {
        x,
        affine,
        inverse_deviation,
        relu,
        output,
    } = forward;
    assert_eq!(gradient.len(), x.len());
    assert!(output.is_none_or(|output| output.len() == x.len()));
    let cut = Cut::new(x.len(), affine.mean.len());
    let residual = output.filter(|_| relu).map(|output| {
        let mask = |out: &mut [f32]| {
            let out = Shared::new(out);
            (0..cut.tasks()).into_par_iter().for_each(|task| {
                let values = cut.values(task);
                // SAFETY: each task has its own values.
                let out = unsafe { out.part(values.clone()) };
                let (gradient, output) = (&gradient[values.clone()], &output[values]);
                arch.dispatch(
                    #[inline(always)]
                    || {
                        for ((out, gradient), output) in out.iter_mut().zip(gradient).zip(output) {
                            *out = if *output > 0.0 { *gradient } else { 0.0 };
                        }
                    },
                );
            });
        };
        // SAFETY: the tasks together set every value.
        unsafe { filled(x.len(), mask) }
    });
    let gradient = residual.as_deref().unwrap_or(gradient);
    let masked = relu && output.is_none();
    let wide = [&affine.mean, &affine.scale, &affine.shift].map(|values| cut.widen(values));
    let [bias, products] = sums(arch, gradient, x, cut, &wide, masked);

    let count = (x.len() / cut.channels) as f64;
    let weight = (products.iter().zip(inverse_deviation))
        .map(|(product, &inverse)| (product * f64::from(inverse)) as f32)
        .collect();
    let mean_gradient: Vec<f32> = bias.iter().map(|sum| (sum / count) as f32).collect();
    let slope: Vec<f32> = (products.iter().zip(inverse_deviation))
        .map(|(product, &inverse)| {
            (product / count * f64::from(inverse) * f64::from(inverse)) as f32
        })
        .collect();
    let corrections = [cut.widen(&mean_gradient), cut.widen(&slope)];
    let work = |out: &mut [f32]| {
        input_gradient(arch, gradient, x, cut, &wide, &corrections, masked, out);
    };
    // SAFETY: every value is set.
    let x = unsafe { filled(x.len(), work) };
    Gradients {
        weight,
        bias: bias.iter().map(|sum| *sum as f32).collect(),
        x,
        residual,
    }
}

/// The sums of the gradient, and of its products with the centered input.
fn sums(
    arch: Arch,
    gradient: &[f32],
    x: &[f32],
    cut: Cut,
    [mean, scale, shift]: &[Vec<f32>; 3],
    masked: bool,
) -> [Vec<f64>; 2] {
    cut.sums(|values, sums, products| {
        let rows = (gradient[values.clone()].chunks(cut.width)).zip(x[values].chunks(cut.width));
        arch.dispatch(
            #[inline(always)]
            || {
                for (gradient, x) in rows {
                    let sums = sums.iter_mut().zip(products.iter_mut());
                    let values = gradient.iter().zip(x).zip(sums);
                    if masked {
                        let affine = mean.iter().zip(scale).zip(shift);
                        for (((g, x), (sum, product)), ((mean, scale), shift)) in values.zip(affine)
                        {
                            let centered = x - mean;
                            let g = if centered * scale + shift > 0.0 {
                                *g
                            } else {
                                0.0
                            };
                            *sum += g;
                            *product += g * centered;
                        }
                    } else {
                        for (((g, x), (sum, product)), mean) in values.zip(mean) {
                            *sum += g;
                            *product += g * (x - mean);
                        }
                    }
                }
            },
        );
    })
}

/// `scale * (gradient - mean gradient - (x - mean) * slope)`.
#[allow(clippy::too_many_arguments)] // one loop, called once
fn input_gradient(
    arch: Arch,
    gradient: &[f32],
    x: &[f32],
    cut: Cut,
    [mean, scale, shift]: &[Vec<f32>; 3],
    [mean_gradient, slope]: &[Vec<f32>; 2],
    masked: bool,
    out: &mut [f32],
) {
    let out = Shared::new(out);
    (0..cut.tasks()).into_par_iter().for_each(|task| {
        let values = cut.values(task);
        // SAFETY: each task has its own values.
        let out = unsafe { out.part(values.clone()) };
        let rows = (gradient[values.clone()].chunks(cut.width))
            .zip(x[values].chunks(cut.width))
            .zip(out.chunks_mut(cut.width));
        arch.dispatch(
            #[inline(always)]
            || {
                for ((gradient, x), out) in rows {
                    let values = out.iter_mut().zip(gradient).zip(x);
                    let affine = mean.iter().zip(scale).zip(shift);
                    let affine = affine.zip(mean_gradient.iter().zip(slope));
                    if masked {
                        for (((out, g), x), (((mean, scale), shift), (mean_g, slope))) in
                            values.zip(affine)
                        {
                            let centered = x - mean;
                            let g = if centered * scale + shift > 0.0 {
                                *g
                            } else {
                                0.0
                            };
                            *out = scale * (g - mean_g - centered * slope);
                        }
                    } else {
                        for (((out, g), x), (((mean, scale), _), (mean_g, slope))) in
                            values.zip(affine)
                        {
                            *out = scale * (g - mean_g - (x - mean) * slope);
                        }
                    }
                }
            },
        );
    });
}
