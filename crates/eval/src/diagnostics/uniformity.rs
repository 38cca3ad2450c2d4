use burn::tensor::Tensor;

/// Kolmogorov-Smirnov distance between each marginal of compact embeddings `[n, d]`, values in [0,
/// 1], and the uniform distribution, averaged over the dimensions. In (0, 1].
///
/// Uniform marginals give about 0.87 / sqrt(n), a constant 0 or 1 gives 1. Values outside [0, 1]
/// are clamped; NaN gives NaN.
///
/// # Panics
///
/// If n or d is 0.
pub fn marginal_uniformity(compact: Tensor<2>) -> f64 {
    let [n, d] = compact.dims();
    assert!(n > 0 && d > 0, "marginals of [{n}, {d}] embeddings");
    let columns = compact.detach().transpose().into_data();
    let mut columns: Vec<f32> = columns.iter().collect();
    let distances = columns.chunks_exact_mut(n).map(distance_to_uniform);
    distances.sum::<f64>() / d as f64
}

/// The largest gap between the empirical distribution function and the uniform one.
fn distance_to_uniform(column: &mut [f32]) -> f64 {
    if column.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    column.sort_unstable_by(f32::total_cmp);
    let n = column.len() as f64;
    let gaps = column.iter().enumerate().map(|(rank, &value)| {
        let value = f64::from(value).clamp(0.0, 1.0);
        (value - rank as f64 / n).max((rank + 1) as f64 / n - value)
    });
    gaps.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // The steps of four equally spaced values miss the diagonal by an eighth.
        assert_eq!(
            distance_to_uniform(&mut [0.875, 0.125, 0.625, 0.375]),
            0.125
        );
        assert_eq!(distance_to_uniform(&mut [0.0, 0.0]), 1.0);
        assert_eq!(distance_to_uniform(&mut [7.0]), 1.0);
        assert_eq!(distance_to_uniform(&mut [0.5, 0.5]), 0.5);
    }
}
