//! Everything that is done column by column: sort, Psi, spacings, entropy and its slope, centring.

use core::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::math::ln;
use super::prefetch::prefetch;
use super::sort::{MIN_ROWS, sort_columns};
use super::space::{End, Space, psi};
use super::tile::PANEL;

/// Columns that one task does: four cache lines of each row of z, and one panel of the results. A
/// multiple of the lanes of any SIMD vector.
pub(super) const STRIPE: usize = PANEL;
/// Rows from the one that is loaded to the one that is asked for.
const AHEAD: usize = 16;
/// The lanes of the widest SIMD vector.
pub(super) const MAX_LANES: usize = 16;

/// Working memory of one thread for stripes of n rows.
pub(super) struct Scratch {
    /// The stripe of z: groups of as many columns as a vector has lanes, row after row.
    input: Vec<f32>,
    /// One group of columns, sorted, and the rows that the keys came from.
    keys: Vec<f32>,
    rows: Vec<u32>,
    /// What [`Space::tail`] gives for the keys.
    mass: Vec<f32>,
    root: Vec<f32>,
    /// 1 / (scaled spacing + epsilon).
    weight: Vec<f32>,
    /// Values in the order of the keys.
    ordered: Vec<f32>,
    /// Values in the order of the samples. Written at random places, so it must be in the nearest
    /// cache.
    samples: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(n: usize) -> Self {
        let padded = n.next_power_of_two().max(MIN_ROWS) * MAX_LANES;
        let floats = || vec![0.0; n * MAX_LANES];
        Self {
            input: vec![0.0; n * STRIPE],
            keys: vec![0.0; padded],
            rows: vec![0; padded],
            mass: floats(),
            root: floats(),
            weight: floats(),
            ordered: floats(),
            samples: floats(),
        }
    }
}

/// Some columns of z and where their results go.
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
    /// What the derivative of each logarithm is multiplied by.
    pub slope_factor: f32,
    /// A panel that takes Psi(z) minus its column mean.
    pub compact: &'a mut [f32],
    /// A panel that takes the derivative of the entropy term with respect to Psi(z); empty if it is not
    /// wanted.
    pub slope: &'a mut [f32],
    /// Takes each column's sum of squares of `compact`.
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
    /// Goes through the stripe `W` columns at a time, one per lane.
    #[inline(always)]
    fn run<S: Simd, const W: usize, const FMA: bool>(mut self, simd: S) -> StripeSums {
        self.load::<W>();
        let mut sums = StripeSums::default();
        for offset in (0..self.width).step_by(W) {
            self.group::<S, W, FMA>(simd, offset, &mut sums);
        }
        sums
    }

    /// Copies the stripe so that a group's rows are neighbours; missing lanes are 0.
    #[inline(always)]
    fn load<const W: usize>(&mut self) {
        let groups = self.width.div_ceil(W);
        let input = self.scratch.input.as_chunks_mut::<W>().0;
        for i in 0..self.n {
            let start = i * self.d + self.first;
            let ahead = start + AHEAD * self.d;
            prefetch(self.z.as_ptr().wrapping_add(ahead), self.width);
            let row = &self.z[start..][..self.width];
            let (full, rest) = row.as_chunks::<W>();
            for (group, lanes) in full.iter().enumerate() {
                input[group * self.n + i] = *lanes;
            }
            if !rest.is_empty() {
                let lanes = &mut input[(groups - 1) * self.n + i];
                lanes.fill(0.0);
                lanes[..rest.len()].copy_from_slice(rest);
            }
        }
    }

    /// The columns `offset..offset + W` of the stripe, as far as there are.
    #[inline(always)]
    fn group<S: Simd, const W: usize, const FMA: bool>(
        &mut self,
        simd: S,
        offset: usize,
        sums: &mut StripeSums,
    ) {
        let (n, m) = (self.n, self.spacing);
        let width = W.min(self.width - offset);
        let padded = n.next_power_of_two().max(MIN_ROWS);
        let Scratch {
            input,
            keys,
            rows,
            mass,
            root,
            weight,
            ordered,
            samples,
        } = &mut *self.scratch;
        let input = &input[offset * n..][..n * W];
        let (keys, rows) = (&mut keys[..padded * W], &mut rows[..padded * W]);
        let (mass, root) = (&mut mass[..n * W], &mut root[..n * W]);
        let (weight, ordered) = (&mut weight[..(n - m) * W], &mut ordered[..n * W]);
        let samples = &mut samples[..n * W];

        let poison = sanitise(simd, input, keys);
        keys[n * W..].fill(f32::INFINITY);
        let (key_lanes, row_lanes) = (S::as_mut_simd_f32s(keys).0, S::as_mut_simd_u32s(rows).0);
        for (i, row) in row_lanes.iter_mut().enumerate() {
            *row = simd.splat_u32s((i * W) as u32);
        }
        // The sort is long and leaves the memory idle: time to fetch what will be written after it.
        sort_columns(simd, key_lanes, row_lanes, n, |first| {
            for row in first..first + 8 {
                let place = row * PANEL + offset;
                prefetch(self.compact.as_ptr().wrapping_add(place), W);
                prefetch(self.slope.as_ptr().wrapping_add(place), W);
            }
        });
        let (keys, rows) = (&keys[..n * W], &mut rows[..n * W]);
        let neighbours = keys[W..].iter().zip(keys);
        if neighbours.fold(false, |tied, (a, b)| tied | (a == b)) {
            order_ties::<W>(keys, rows);
        }

        for ((z, mass), root) in keys.iter().zip(&mut *mass).zip(&mut *root) {
            (*mass, *root) = Psi::tail::<FMA>(*z);
        }
        let scale = (n + 1) as f32 / m as f32;
        let (low, high) = (..(n - m) * W, m * W..);
        let lows = keys[low].iter().zip(&mass[low]).zip(&root[low]);
        let highs = (keys[high.clone()].iter())
            .zip(&mass[high.clone()])
            .zip(&root[high.clone()]);
        let end = |((&z, &mass), &root): ((&f32, &f32), &f32)| End { z, mass, root };
        for (((a, b), weight), log) in lows.zip(highs).zip(&mut *weight).zip(&mut *ordered) {
            let scaled = Psi::spacing::<FMA>(end(a), end(b)) * scale + self.epsilon;
            *weight = 1.0 / scaled;
            *log = ln::<FMA>(scaled);
        }
        let entropy = column_sums::<S, W>(simd, &ordered[low]);

        for ((x, z), mass) in ordered.iter_mut().zip(keys).zip(&*mass) {
            *x = psi(*z, *mass);
        }
        let sum = column_sums::<S, W>(simd, ordered);
        let mean = load::<S, W>(|l| (sum[l] / n as f64) as f32 + poison[l]);
        for x in S::as_mut_simd_f32s(ordered).0 {
            *x = simd.sub_f32s(*x, mean);
        }
        scatter::<W>(ordered, rows, samples);
        store::<W>(self.compact, offset, samples);
        for x in ordered.iter_mut() {
            *x *= *x;
        }
        let squares = column_sums::<S, W>(simd, ordered);
        for l in 0..width {
            self.squares[offset + l] = squares[l] as f32;
            sums.squared_squares += squares[l] * squares[l];
            sums.entropy += entropy[l] / (n - m) as f64 + f64::from(poison[l]);
        }

        if !self.slope.is_empty() {
            // Each logarithm pushes the upper end of its spacing up and the lower end down.
            let (inner, ends) = ordered.split_at_mut((n - m) * W);
            for (slope, weight) in inner.iter_mut().zip(&*weight) {
                *slope = -self.slope_factor * weight;
            }
            ends.fill(0.0);
            for (slope, weight) in ordered[high].iter_mut().zip(&*weight) {
                *slope += self.slope_factor * weight;
            }
            scatter::<W>(ordered, rows, samples);
            store::<W>(self.slope, offset, samples);
        }
    }
}

/// Puts equal keys in the order of their rows, as a stable sort does.
fn order_ties<const W: usize>(keys: &[f32], rows: &mut [u32]) {
    let n = keys.len() / W;
    let mut run = Vec::new();
    for lane in 0..W {
        let mut start = 0;
        while start < n {
            let key = keys[start * W + lane];
            let mut end = start + 1;
            while end < n && keys[end * W + lane] == key {
                end += 1;
            }
            if end - start > 1 {
                run.clear();
                run.extend((start..end).map(|i| rows[i * W + lane]));
                run.sort_unstable();
                for (i, row) in (start..end).zip(&run) {
                    rows[i * W + lane] = *row;
                }
            }
            start = end;
        }
    }
}

/// Moves each value from its rank to the row it came from; `rows` are row numbers times `W`.
#[allow(unsafe_code)] // the bounds check would cost as much as the move
#[inline(always)]
fn scatter<const W: usize>(ordered: &[f32], rows: &[u32], samples: &mut [f32]) {
    assert_eq!(ordered.len(), samples.len());
    let ranks = (ordered.as_chunks::<W>().0.iter()).zip(rows.as_chunks::<W>().0);
    for (values, rows) in ranks {
        for lane in 0..W {
            let target = rows[lane] as usize + lane;
            // SAFETY: the rows are a permutation of those of the samples.
            unsafe { *samples.get_unchecked_mut(target) = values[lane] };
        }
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

/// Copies `input` to `keys`, with 0 in place of what is not a finite number. Returns for every lane NaN
/// if it held such a thing, else 0.
#[inline(always)]
fn sanitise<S: Simd>(simd: S, input: &[f32], keys: &mut [f32]) -> [f32; MAX_LANES] {
    let zero = simd.splat_f32s(0.0);
    let mut poison = zero;
    let inputs = S::as_simd_f32s(input).0;
    for (key, z) in S::as_mut_simd_f32s(keys).0.iter_mut().zip(inputs) {
        let difference = simd.sub_f32s(*z, *z); // 0 or NaN
        poison = simd.add_f32s(poison, difference);
        let finite = simd.equal_f32s(difference, zero);
        *key = simd.select_f32s(finite, *z, zero);
    }
    lanes::<S>(poison)
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

/// The sum of every lane, in f32 over 32 rows and in f64 over these.
#[inline(always)]
fn column_sums<S: Simd, const W: usize>(simd: S, values: &[f32]) -> [f64; W] {
    let mut total = [0f64; W];
    for block in S::as_simd_f32s(values).0.chunks(32) {
        let mut sum = simd.splat_f32s(0.0);
        for row in block {
            sum = simd.add_f32s(sum, *row);
        }
        for (total, sum) in total.iter_mut().zip(lanes::<S>(sum)) {
            *total += f64::from(sum);
        }
    }
    total
}
