use burn::tensor::Tensor;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Lines of the grid per dimension.
const GRID: usize = 32;

/// Draws up to `count` distinct pairs of different dimensions below `d`, the smaller dimension
/// first. The same seed gives the same pairs.
pub fn random_pairs(d: usize, count: usize, seed: u64) -> Vec<(usize, usize)> {
    draw_pairs(d, count, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// [`random_pairs`] with a given generator.
pub(crate) fn draw_pairs(d: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<(usize, usize)> {
    let count = count.min(d * d.saturating_sub(1) / 2);
    let mut pairs = Vec::with_capacity(count);
    while pairs.len() < count {
        let pair = (rng.random_range(0..d), rng.random_range(0..d));
        if pair.0 < pair.1 && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// Distance between two-dimensional marginals of compact embeddings `[n, d]`, values in [0, 1], and
/// the uniform distribution on the square. One distance per pair of dimensions, in [0, 1].
///
/// The distance is the largest gap between the empirical distribution function and u v over the
/// corners of a 32 x 32 grid. It is the two-dimensional form of
/// [`marginal_uniformity`](super::marginal_uniformity). Values outside [0, 1] are clamped; NaN
/// gives NaN.
///
/// # Panics
///
/// If n is 0, or a dimension is not below d.
pub fn pair_uniformity(compact: Tensor<2>, pairs: &[(usize, usize)]) -> Vec<f64> {
    let [n, d] = compact.dims();
    assert!(n > 0, "marginals of no image");
    let values: Vec<f32> = compact.detach().into_data().iter().collect();
    let distance = |&(i, j): &(usize, usize)| {
        assert!(i < d && j < d, "dimensions {i}, {j} of {d}");
        distance_to_uniform(values.chunks_exact(d).map(|row| (row[i], row[j])), n)
    };
    pairs.iter().map(distance).collect()
}

fn distance_to_uniform(points: impl Iterator<Item = (f32, f32)>, n: usize) -> f64 {
    let mut counts = vec![[0usize; GRID]; GRID];
    // The first grid line at or above a value.
    let line = |value: f32| ((value * GRID as f32).ceil().max(1.0) as usize).min(GRID) - 1;
    for (u, v) in points {
        if u.is_nan() || v.is_nan() {
            return f64::NAN;
        }
        counts[line(u)][line(v)] += 1;
    }
    let mut largest = 0.0f64;
    let mut below = [0; GRID];
    for (row, counts) in counts.iter().enumerate() {
        let mut of_row = 0;
        for (column, (below, count)) in below.iter_mut().zip(counts).enumerate() {
            of_row += count;
            *below += of_row;
            let uniform = ((row + 1) * (column + 1)) as f64 / (GRID * GRID) as f64;
            largest = largest.max((*below as f64 / n as f64 - uniform).abs());
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_different_and_as_many_as_there_are() {
        let mut pairs = random_pairs(4, 10, 0);
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
        assert!(random_pairs(1, 3, 0).is_empty());
        assert!(random_pairs(0, 3, 0).is_empty());
    }

    #[test]
    fn distances_by_hand() {
        let grid =
            (0..1024).map(|i| ((i / 32) as f32 / 32.0 + 0.01, (i % 32) as f32 / 32.0 + 0.01));
        assert_eq!(distance_to_uniform(grid, 1024), 0.0);
        // Everything in the lower left cell.
        let corner = std::iter::repeat_n((0.0, 0.0), 5);
        assert_eq!(distance_to_uniform(corner, 5), 1.0 - 1.0 / 1024.0);
        // On the diagonal: t against t^2, a quarter apart in the middle.
        let diagonal = (1..=32).map(|i| (i as f32 / 32.0, i as f32 / 32.0));
        assert_eq!(distance_to_uniform(diagonal, 32), 0.25);
    }
}
