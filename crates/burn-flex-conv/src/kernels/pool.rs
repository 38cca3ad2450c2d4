//! Pooling of feature maps with the channels last.

use pulp::Arch;
use rayon::prelude::*;

use super::memory::filled;

/// A max pooling over square windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolShape {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of a window, from 1 to 15.
    pub kernel: usize,
    /// Positions from one window to the next.
    pub stride: usize,
    /// Padding on each side of the input, never the largest value. At most half the window.
    pub padding: usize,
}

impl MaxPoolShape {
    /// Height and width of the output.
    ///
    /// # Panics
    ///
    /// If a window does not fit, or the sizes are not in their ranges.
    pub fn output(&self) -> [usize; 2] {
        assert!(
            (1..=15).contains(&self.kernel) && self.stride > 0 && self.padding * 2 <= self.kernel,
            "max pooling: sizes out of range: {self:?}"
        );
        self.input.map(|size| {
            let padded = size + 2 * self.padding;
            assert!(
                padded >= self.kernel,
                "max pooling: no window fits: {self:?}"
            );
            (padded - self.kernel) / self.stride + 1
        })
    }

    fn input_len(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels
    }

    /// The taps of a window inside the map along an axis, and the place of tap 0.
    fn taps(&self, axis: usize, window: usize) -> (core::ops::Range<usize>, isize) {
        let first = (window * self.stride) as isize - self.padding as isize;
        let start = (-first).max(0) as usize;
        let end = (self.input[axis] as isize - first).min(self.kernel as isize) as usize;
        (start..end, first)
    }
}

/// The largest value of each window and its tap (the first of equal ones), both `[batch, height,
/// width, channels]`. A NaN counts as the largest.
///
/// # Panics
///
/// If the length of the input does not match.
pub fn max_pool(arch: Arch, input: &[f32], shape: &MaxPoolShape) -> (Vec<f32>, Vec<u8>) {
    assert_eq!(input.len(), shape.input_len(), "{shape:?}");
    let [height, width] = shape.output();
    let channels = shape.channels;
    let row = width * channels;
    let mut taps = vec![0; shape.batch * height * row];
    let work = |out: &mut [f32]| {
        (out.par_chunks_mut(row).zip(taps.par_chunks_mut(row)))
            .enumerate()
            .for_each(|(line, (out, taps))| {
                let (image, y) = (line / height, line % height);
                let (ys, first_y) = shape.taps(0, y);
                arch.dispatch(
                    #[inline(always)]
                    || {
                        out.fill(f32::NEG_INFINITY);
                        for x in 0..width {
                            let (xs, first_x) = shape.taps(1, x);
                            let out = &mut out[x * channels..][..channels];
                            let taps = &mut taps[x * channels..][..channels];
                            for tap_y in ys.clone() {
                                let y = (first_y + tap_y as isize) as usize;
                                for tap_x in xs.clone() {
                                    let x = (first_x + tap_x as isize) as usize;
                                    let place = (image * shape.input[0] + y) * shape.input[1] + x;
                                    let input = &input[place * channels..][..channels];
                                    let tap = (tap_y * shape.kernel + tap_x) as u8;
                                    let first = tap_y == ys.start && tap_x == xs.start;
                                    for ((out, taken), &x) in
                                        out.iter_mut().zip(&mut *taps).zip(input)
                                    {
                                        let larger = first | (x > *out) | x.is_nan();
                                        *out = if larger { x } else { *out };
                                        *taken = if larger { tap } else { *taken };
                                    }
                                }
                            }
                        }
                    },
                );
            });
    };
    // SAFETY: every row is filled.
    let out = unsafe { filled(shape.batch * height * row, work) };
    (out, taps)
}

/// The gradient of the input, given the gradient of the output and the taps of [`max_pool`].
///
/// # Panics
///
/// If lengths do not match.
pub fn max_pool_backward(
    arch: Arch,
    gradient: &[f32],
    taps: &[u8],
    shape: &MaxPoolShape,
) -> Vec<f32> {
    let [height, width] = shape.output();
    let channels = shape.channels;
    assert_eq!(
        gradient.len(),
        shape.batch * height * width * channels,
        "{shape:?}"
    );
    assert_eq!(gradient.len(), taps.len());
    let row = shape.input[1] * channels;
    // Each row of the input collects the gradients of its windows, so no two tasks write the same
    // row.
    let work = |out: &mut [f32]| {
        out.par_chunks_mut(row).enumerate().for_each(|(line, out)| {
            let (image, y) = (line / shape.input[0], line % shape.input[0]);
            arch.dispatch(
                #[inline(always)]
                || {
                    out.fill(0.0);
                    for tap_y in 0..shape.kernel {
                        let place = (y + shape.padding) as isize - tap_y as isize;
                        let window = place.div_euclid(shape.stride as isize);
                        let off = place.rem_euclid(shape.stride as isize) != 0;
                        if off || window < 0 || window >= height as isize {
                            continue;
                        }
                        let line = image * height + window as usize;
                        for window in 0..width {
                            let (xs, first) = shape.taps(1, window);
                            let place = (line * width + window) * channels;
                            let gradient = &gradient[place..][..channels];
                            let taps = &taps[place..][..channels];
                            for tap_x in xs {
                                let x = (first + tap_x as isize) as usize;
                                let wanted = (tap_y * shape.kernel + tap_x) as u8;
                                let out = &mut out[x * channels..][..channels];
                                for ((out, g), tap) in out.iter_mut().zip(gradient).zip(taps) {
                                    *out += if *tap == wanted { *g } else { 0.0 };
                                }
                            }
                        }
                    }
                },
            );
        });
    };
    // SAFETY: every row is filled.
    unsafe { filled(shape.input_len(), work) }
}

/// The mean over the positions of each image: `[batch, positions, channels]` to
/// `[batch, channels]`.
///
/// # Panics
///
/// If the length does not match.
pub fn mean_pool(arch: Arch, input: &[f32], positions: usize, channels: usize) -> Vec<f32> {
    assert!(positions > 0 && input.len().is_multiple_of(positions * channels));
    let mut out = vec![0.0; input.len() / positions];
    (out.par_chunks_mut(channels))
        .zip(input.par_chunks(positions * channels))
        .for_each(|(out, image)| {
            arch.dispatch(
                #[inline(always)]
                || {
                    for position in image.chunks_exact(channels) {
                        for (out, x) in out.iter_mut().zip(position) {
                            *out += x;
                        }
                    }
                    for out in out {
                        *out /= positions as f32;
                    }
                },
            );
        });
    out
}

/// The gradient of the input of [`mean_pool`].
///
/// # Panics
///
/// If the length does not match.
pub fn mean_pool_backward(gradient: &[f32], positions: usize, channels: usize) -> Vec<f32> {
    assert!(positions > 0 && gradient.len().is_multiple_of(channels));
    let work = |out: &mut [f32]| {
        (out.par_chunks_mut(positions * channels))
            .zip(gradient.par_chunks(channels))
            .for_each(|(image, gradient)| {
                for position in image.chunks_exact_mut(channels) {
                    for (out, g) in position.iter_mut().zip(gradient) {
                        *out = g / positions as f32;
                    }
                }
            });
    };
    // SAFETY: every position is set.
    unsafe { filled(gradient.len() * positions, work) }
}
