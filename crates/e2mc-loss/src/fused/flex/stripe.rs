//! All work on single columns: sort, Psi, spacings, entropy and its slope, centering.

use core::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::math::ln;
use super::order::{order_columns, padded};
use super::prefetch::prefetch;
use super::space::{End, Space};
use super::tile::PANEL;

/// Columns per task: four cache lines of each row of z, and one panel of the results. A multiple of
/// the lanes of any SIMD vector.
pub(super) const STRIPE: usize = PANEL;
/// Prefetch distance in rows.
const AHEAD: usize = 16;
/// The lanes of the widest SIMD vector.
pub(super) const MAX_LANES: usize = 16;

/// Rows that are summed in f32 before f64, and computed before they are scattered.
const CHUNK: usize = 32;

/// Working memory of one thread for stripes of n rows.
pub(super) struct Scratch {
    /// The stripe of z: groups of as many columns as a vector has lanes, row after row.
    values: Vec<f32>,
    /// One group, sorted.
    keys: Vec<f32>,
    /// Where in the group each key came from.
    sources: Vec<u32>,
    /// For each column NaN if it holds a value that is not finite, else 0.
    poison: Vec<f32>,
    /// [`Space::tail`] of the keys.
    mass: Vec<f32>,
    root: Vec<f32>,
    /// The derivative of each logarithm times the slope factor, with as many rows of zeros as the
    /// spacing order before and after. Rounded before the two ends are subtracted, so that ties
    /// cancel.
    weight: Vec<f32>,
    /// A few values, in the order of the keys.
    ordered: Vec<f32>,
    /// Values in the order of the samples. Written in random order, so it must stay in the
    /// first-level cache.
    samples: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(n: usize, spacing: usize) -> Self {
        let floats = |rows: usize| vec![0.0; rows * MAX_LANES];
        Self {
            values: vec![0.0; n * STRIPE],
            keys: floats(n),
            sources: vec![0; padded(n) * MAX_LANES],
            poison: vec![0.0; STRIPE],
            mass: floats(n),
            root: floats(n),
            weight: floats(n + spacing),
            ordered: floats(CHUNK),
            samples: floats(n),
        }
    }
}

/// Some columns of z and the targets of their results.
pub(super) struct Stripe<'a, Psi> {
    /// Row-major, \[n, d\].
    pub z: &'a [f32],
    pub n: usize,
    pub d: usize,
    pub first: usize,
    /// At most [`STRIPE`].
    pub width: usize,
    /// Spacing order m.
    pub spacing: usize,
    pub epsilon: f32,
    /// Factor on the derivative of each logarithm.
    pub slope_factor: f32,
    /// Receives Psi(z) minus its column means, as a panel.
    pub compact: &'a mut [f32],
    /// Receives the derivative of the entropy term with respect to Psi(z), as a panel; empty if not
    /// requested.
    pub slope: &'a mut [f32],
    /// Receives each column's sum of squares of `compact`.
    pub squares: &'a mut [f32],
    pub scratch: &'a mut Scratch,
    pub space: PhantomData<Psi>,
}

/// Sums over the columns of a stripe.
#[derive(Default)]
pub(super) struct StripeSums {
    /// Of the entropies.
    pub entropy: f64,
    /// Of the squared sums of squares of `compact`.
    pub squared_squares: f64,
}

impl<Psi: Space> WithSimd for Stripe<'_, Psi> {
    type Output = StripeSums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> StripeSums {
        match S::F32_LANES {
            16 => self.run::<S, 16, true>(simd),
            8 => self.run::<S, 8, true>(simd),
            4 => self.run::<S, 4, { cfg!(target_arch = "aarch64") }>(simd),
            _ => self.run::<S, 1, false>(simd),
        }
    }
}

impl<Psi: Space> Stripe<'_, Psi> {
    /// Processes the stripe, `W` columns at a time, one per lane.
    #[inline(always)]
    fn run<S: Simd, const W: usize, const FMA: bool>(mut self, simd: S) -> StripeSums {
        self.load::<S, W>(simd);
        let mut sums = StripeSums::default();
        for offset in (0..self.width).step_by(W) {
            self.group::<S, W, FMA>(simd, offset, &mut sums);
        }
        sums
    }

    /// Loads the values of z, with 0 for values that are not finite and for missing lanes.
    #[inline(always)]
    fn load<S: Simd, const W: usize>(&mut self, simd: S) {
        let values = S::as_mut_simd_f32s(&mut self.scratch.values).0;
        let zero = simd.splat_f32s(0.0);
        self.scratch.poison.fill(0.0);
        let poison = S::as_mut_simd_f32s(&mut self.scratch.poison).0;
        for i in 0..self.n {
            let start = i * self.d + self.first;
            let ahead = start + AHEAD * self.d;
            prefetch(self.z.as_ptr().wrapping_add(ahead), self.width);
            let row = &self.z[start..][..self.width];
            for ((group, lanes), poison) in row.chunks(W).enumerate().zip(&mut *poison) {
                let z = match <&[f32; W]>::try_from(lanes) {
                    Ok(lanes) => S::as_simd_f32s(lanes).0[0],
                    Err(_) => simd.partial_load_f32s(lanes),
                };
                let difference = simd.sub_f32s(z, z); // 0 or NaN
                *poison = simd.add_f32s(*poison, difference);
                let finite = simd.equal_f32s(difference, zero);
                values[group * self.n + i] = simd.select_f32s(finite, z, zero);
            }
        }
    }

    /// Processes the existing columns in `offset..offset + W` of the stripe.
    #[inline(always)]
    fn group<S: Simd, const W: usize, const FMA: bool>(
        &mut self,
        simd: S,
        offset: usize,
        sums: &mut StripeSums,
    ) {
        let (n, m) = (self.n, self.spacing);
        let width = W.min(self.width - offset);
        let Scratch {
            values,
            keys,
            sources,
            poison,
            mass,
            root,
            weight,
            ordered,
            samples,
        } = &mut *self.scratch;
        let values = &values[offset * n..][..n * W];
        let (keys, sources) = (&mut keys[..n * W], &mut sources[..padded(n) * W]);
        let poison = &poison[offset..offset + W];
        let (mass, root) = (&mut mass[..n * W], &mut root[..n * W]);
        let weight = &mut weight[..(n + m) * W];
        let (ordered, samples) = (&mut ordered[..CHUNK * W], &mut samples[..n * W]);

        // The sort leaves the memory idle. Meanwhile, the next rows to be written are prefetched.
        order_columns::<S, W>(simd, values, keys, sources, |first| {
            for row in first..first + 8 {
                let place = row * PANEL + offset;
                prefetch(self.compact.as_ptr().wrapping_add(place), W);
                prefetch(self.slope.as_ptr().wrapping_add(place), W);
            }
        });
        let (keys, sources) = (&*keys, &sources[..n * W]);

        for ((z, mass), root) in keys.iter().zip(&mut *mass).zip(&mut *root) {
            (*mass, *root) = Psi::tail::<FMA>(*z);
        }
        let scale = (n + 1) as f32 / m as f32;
        let mut entropy = [0.0; W];
        weight[..m * W].fill(0.0);
        weight[n * W..].fill(0.0);
        for start in (0..n - m).step_by(CHUNK) {
            let low = start * W..(start + CHUNK).min(n - m) * W;
            let high = low.start + m * W..low.end + m * W;
            let logs = &mut ordered[..low.len()];
            let lows = keys[low.clone()]
                .iter()
                .zip(&mass[low.clone()])
                .zip(&root[low]);
            let highs = (keys[high.clone()].iter())
                .zip(&mass[high.clone()])
                .zip(&root[high.clone()]);
            let end = |((&z, &mass), &root): ((&f32, &f32), &f32)| End { z, mass, root };
            let results = weight[high].iter_mut().zip(&mut *logs);
            for ((low, high), (weight, log)) in lows.zip(highs).zip(results) {
                let scaled = Psi::spacing::<FMA>(end(low), end(high)) * scale + self.epsilon;
                *weight = self.slope_factor / scaled;
                *log = ln::<FMA>(scaled);
            }
            let mut sum = simd.splat_f32s(0.0);
            for log in S::as_simd_f32s(logs).0 {
                sum = simd.add_f32s(sum, *log);
            }
            add_lanes::<S, W>(&mut entropy, sum);
        }

        let key_lanes = S::as_simd_f32s(keys).0;
        let mass_lanes = S::as_simd_f32s(mass).0;
        let mut total = [0.0; W];
        for (keys, masses) in key_lanes.chunks(CHUNK).zip(mass_lanes.chunks(CHUNK)) {
            let mut sum = simd.splat_f32s(0.0);
            for (z, mass) in keys.iter().zip(masses) {
                sum = simd.add_f32s(sum, psi_lanes(simd, *z, *mass));
            }
            add_lanes::<S, W>(&mut total, sum);
        }
        let mean = load::<S, W>(|l| (total[l] / n as f64) as f32 + poison[l]);
        let mut squares = [0.0; W];
        let chunks = (key_lanes.chunks(CHUNK)).zip(mass_lanes.chunks(CHUNK));
        for ((keys, masses), sources) in chunks.zip(sources.chunks(CHUNK * W)) {
            let centered = &mut ordered[..sources.len()];
            let mut sum = simd.splat_f32s(0.0);
            let lanes = S::as_mut_simd_f32s(centered).0;
            for ((x, z), mass) in lanes.iter_mut().zip(keys).zip(masses) {
                *x = simd.sub_f32s(psi_lanes(simd, *z, *mass), mean);
                sum = simd.mul_add_e_f32s(*x, *x, sum);
            }
            add_lanes::<S, W>(&mut squares, sum);
            scatter(centered, sources, samples);
        }
        store::<W>(self.compact, offset, samples);
        for l in 0..width {
            self.squares[offset + l] = squares[l] as f32;
            sums.squared_squares += squares[l] * squares[l];
            sums.entropy += entropy[l] / (n - m) as f64 + f64::from(poison[l]);
        }

        if !self.slope.is_empty() {
            // Each logarithm pushes the upper end of its spacing up and the lower end down.
            let above = weight[m * W..].chunks(CHUNK * W);
            let below = weight[..n * W].chunks(CHUNK * W);
            for ((below, above), sources) in below.zip(above).zip(sources.chunks(CHUNK * W)) {
                let slopes = &mut ordered[..sources.len()];
                for ((slope, below), above) in slopes.iter_mut().zip(below).zip(above) {
                    *slope = below - above;
                }
                scatter(slopes, sources, samples);
            }
            store::<W>(self.slope, offset, samples);
        }
    }
}

/// `Psi(z)` from the mass beyond it.
#[inline(always)]
fn psi_lanes<S: Simd>(simd: S, z: S::f32s, mass: S::f32s) -> S::f32s {
    let left = simd.greater_than_f32s(simd.splat_f32s(0.0), z);
    let other = simd.sub_f32s(simd.splat_f32s(1.0), mass);
    simd.select_f32s(left, mass, other)
}

/// Moves each value from its rank to the place it came from.
#[allow(unsafe_code)] // the bounds check would cost as much as the move
#[inline(always)]
fn scatter(ordered: &[f32], sources: &[u32], samples: &mut [f32]) {
    for (value, source) in ordered.iter().zip(sources) {
        // SAFETY: the sources are a permutation of the places of the samples.
        unsafe { *samples.get_unchecked_mut(*source as usize) = *value };
    }
}

/// Copies a group of columns to its place in a panel.
#[inline(always)]
fn store<const W: usize>(panel: &mut [f32], offset: usize, samples: &[f32]) {
    let rows = panel.as_chunks_mut::<PANEL>().0;
    for (row, values) in rows.iter_mut().zip(samples.as_chunks::<W>().0) {
        row[offset..offset + W].copy_from_slice(values);
    }
}

/// The numbers in a vector, and zeros.
#[inline(always)]
fn lanes<S: Simd>(vector: S::f32s) -> [f32; MAX_LANES] {
    let mut lanes = [0.0; MAX_LANES];
    S::as_mut_simd_f32s(&mut lanes).0[0] = vector;
    lanes
}

/// A vector from its numbers.
#[inline(always)]
fn load<S: Simd, const W: usize>(number: impl Fn(usize) -> f32) -> S::f32s {
    let lanes: [f32; W] = core::array::from_fn(number);
    S::as_simd_f32s(&lanes).0[0]
}

/// Adds every lane of a sum in f32 to one in f64.
#[inline(always)]
fn add_lanes<S: Simd, const W: usize>(total: &mut [f64; W], sum: S::f32s) {
    for (total, sum) in total.iter_mut().zip(lanes::<S>(sum)) {
        *total += f64::from(sum);
    }
}
