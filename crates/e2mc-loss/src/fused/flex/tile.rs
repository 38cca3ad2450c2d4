//! Everything that is done column by column: sort, Psi, spacings, entropy and its slope, centring.

use core::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::math::ln;
use super::matrix::Columns;
use super::sort::{MIN_ROWS, sort_columns};
use super::space::{End, Space, psi};

/// The most columns a tile has: one per SIMD lane of the widest vectors.
pub(super) const MAX_WIDTH: usize = 16;

/// Working memory of one thread for tiles of n rows.
pub(super) struct Scratch {
    keys: Vec<f32>,
    rows: Vec<u32>,
    mass: Vec<f32>,
    root: Vec<f32>,
    /// 1 / (scaled spacing + epsilon).
    weight: Vec<f32>,
    /// Values in the order of the keys, by column, then by row.
    ordered: Vec<f32>,
    compact: Vec<f32>,
    slope: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(n: usize) -> Self {
        let padded = n.next_power_of_two().max(MIN_ROWS) * MAX_WIDTH;
        let floats = || vec![0.0; n * MAX_WIDTH];
        Self {
            keys: vec![0.0; padded],
            rows: vec![0; padded],
            mass: floats(),
            root: floats(),
            weight: floats(),
            ordered: floats(),
            compact: floats(),
            slope: floats(),
        }
    }
}

/// The columns of one tile: `width` of them from `first` on, of the row-major `z`, \[n, d\].
pub(super) struct Tile<'a, Psi> {
    pub z: &'a [f32],
    pub n: usize,
    pub d: usize,
    pub first: usize,
    pub width: usize,
    /// Spacing order m.
    pub spacing: usize,
    pub epsilon: f32,
    /// What the derivative of each logarithm is multiplied by.
    pub slope_factor: f32,
    pub scratch: &'a mut Scratch,
    /// Takes Psi(z) minus its column mean.
    pub compact: Columns<'a>,
    /// Takes the derivative of the entropy term with respect to Psi(z), if it is wanted.
    pub slope: Option<Columns<'a>>,
    /// Takes each column's sum of squares of `compact`.
    pub squares: &'a mut [f32],
    pub space: PhantomData<Psi>,
}

/// Sums over the columns of a tile.
#[derive(Default)]
pub(super) struct TileSums {
    /// Of the entropies.
    pub entropy: f64,
    /// Of the squared sums of squares of `compact`.
    pub squared_squares: f64,
}

impl<Psi: Space> WithSimd for Tile<'_, Psi> {
    type Output = TileSums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> TileSums {
        match S::F32_LANES {
            16 => self.run::<S, 16>(simd),
            8 => self.run::<S, 8>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<Psi: Space> Tile<'_, Psi> {
    /// Goes through the tile `W` columns at a time.
    #[inline(always)]
    fn run<S: Simd, const W: usize>(mut self, simd: S) -> TileSums {
        let mut sums = TileSums::default();
        for offset in (0..self.width).step_by(W) {
            let width = W.min(self.width - offset);
            self.lanes::<S, W>(simd, offset, width, &mut sums);
        }
        sums
    }

    #[inline(always)]
    fn lanes<S: Simd, const W: usize>(
        &mut self,
        simd: S,
        offset: usize,
        width: usize,
        sums: &mut TileSums,
    ) {
        let (n, m) = (self.n, self.spacing);
        let padded = n.next_power_of_two().max(MIN_ROWS);
        let first = self.first + offset;
        let Scratch {
            keys,
            rows,
            mass,
            root,
            weight,
            ordered,
            compact,
            slope,
        } = &mut *self.scratch;
        let (keys, rows) = (&mut keys[..padded * W], &mut rows[..padded * W]);
        let (mass, root) = (&mut mass[..n * W], &mut root[..n * W]);
        let weight = &mut weight[..(n - m) * W];
        let compact = &mut compact[..n * W];

        // NaN in the lanes that hold a number which is not finite; 0 takes its place.
        let mut poison = [0f32; W];
        for (i, key) in keys.as_chunks_mut::<W>().0[..n].iter_mut().enumerate() {
            let row = &self.z[i * self.d + first..][..width];
            if let Ok(row) = <&[f32; W]>::try_from(row) {
                *key = *row;
            } else {
                key[..width].copy_from_slice(row);
                key[width..].fill(0.0);
            }
            for (key, poison) in key.iter_mut().zip(&mut poison) {
                let zero = *key - *key;
                *poison += zero;
                *key = if zero == 0.0 { *key } else { 0.0 };
            }
        }
        keys[n * W..].fill(f32::INFINITY);
        for (i, row) in rows.as_chunks_mut::<W>().0.iter_mut().enumerate() {
            *row = [i as u32; W];
        }
        sort_columns(
            simd,
            S::as_mut_simd_f32s(keys).0,
            S::as_mut_simd_u32s(rows).0,
            n,
        );
        let (keys, rows) = (&keys[..n * W], &mut rows[..n * W]);
        if keys[W..]
            .iter()
            .zip(&*keys)
            .fold(false, |tied, (a, b)| tied | (a == b))
        {
            order_ties::<W>(keys, rows);
        }

        for ((z, mass), root) in keys.iter().zip(&mut *mass).zip(&mut *root) {
            (*mass, *root) = Psi::tail(*z);
        }

        let scale = (n + 1) as f32 / m as f32;
        let (low, high) = (0..(n - m) * W, m * W..n * W);
        let lows = keys[low.clone()]
            .iter()
            .zip(&mass[low.clone()])
            .zip(&root[low.clone()]);
        let highs = keys[high.clone()]
            .iter()
            .zip(&mass[high.clone()])
            .zip(&root[high.clone()]);
        let end = |((&z, &mass), &root): ((&f32, &f32), &f32)| End { z, mass, root };
        for (((a, b), weight), log) in lows.zip(highs).zip(&mut *weight).zip(&mut *ordered) {
            let scaled = Psi::spacing(end(a), end(b)) * scale + self.epsilon;
            *weight = 1.0 / scaled;
            *log = ln(scaled);
        }
        let entropy = column_sums::<W>(&ordered[..(n - m) * W]);

        let ordered = &mut ordered[..n * W];
        for ((x, z), mass) in ordered.iter_mut().zip(keys).zip(&*mass) {
            *x = psi(*z, *mass);
        }
        let sum = column_sums::<W>(ordered);
        let mean: [f32; W] = core::array::from_fn(|l| (sum[l] / n as f64) as f32 + poison[l]);
        for x in ordered.as_chunks_mut::<W>().0 {
            for (x, mean) in x.iter_mut().zip(&mean) {
                *x -= mean;
            }
        }
        scatter::<W>(ordered, rows, compact);
        for (i, x) in compact.as_chunks::<W>().0.iter().enumerate() {
            self.compact.row_mut(i)[offset..offset + width].copy_from_slice(&x[..width]);
        }
        for x in ordered.iter_mut() {
            *x *= *x;
        }
        let squares = column_sums::<W>(ordered);
        for l in 0..width {
            self.squares[offset + l] = squares[l] as f32;
            sums.squared_squares += squares[l] * squares[l];
            sums.entropy += entropy[l] / (n - m) as f64 + f64::from(poison[l]);
        }

        if let Some(out) = &mut self.slope {
            let slope = &mut slope[..n * W];
            for (g, w) in ordered[low.clone()].iter_mut().zip(&*weight) {
                *g = -self.slope_factor * w;
            }
            ordered[(n - m) * W..].fill(0.0);
            for (g, w) in ordered[high].iter_mut().zip(&*weight) {
                *g += self.slope_factor * w;
            }
            scatter::<W>(ordered, rows, slope);
            for (i, g) in slope.as_chunks::<W>().0.iter().enumerate() {
                out.row_mut(i)[offset..offset + width].copy_from_slice(&g[..width]);
            }
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

/// Moves each value of a column from its rank to the row it came from.
#[inline(always)]
fn scatter<const W: usize>(ordered: &[f32], rows: &[u32], out: &mut [f32]) {
    for (values, rows) in ordered
        .as_chunks::<W>()
        .0
        .iter()
        .zip(rows.as_chunks::<W>().0)
    {
        for lane in 0..W {
            out[rows[lane] as usize * W + lane] = values[lane];
        }
    }
}

/// The sum of every lane, in f32 over 32 rows and in f64 over these.
#[inline(always)]
fn column_sums<const W: usize>(values: &[f32]) -> [f64; W] {
    let mut total = [0f64; W];
    for block in values.chunks(32 * W) {
        let mut sum = [0f32; W];
        for row in block.as_chunks::<W>().0 {
            for (sum, x) in sum.iter_mut().zip(row) {
                *sum += x;
            }
        }
        for (total, sum) in total.iter_mut().zip(sum) {
            *total += f64::from(sum);
        }
    }
    total
}
