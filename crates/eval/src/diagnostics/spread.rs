use burn::tensor::Tensor;

/// Columns correlated at a time, to bound the memory of their correlations `[columns, d]`.
const COLUMNS: usize = 1024;

/// Mean over the dimensions of the standard deviation (divisor n - 1) of embeddings `[n, d]`.
///
/// Near 0, the embeddings have collapsed to a point.
///
/// # Panics
///
/// If n < 2.
pub fn mean_std(values: Tensor<2>) -> f64 {
    let (_, std) = centered(values);
    std.mean().into_scalar::<f64>()
}

/// Mean of |Pearson's r| over all pairs of different dimensions of embeddings `[n, d]`, in [0, 1].
///
/// A constant dimension has no correlation, so its pairs are left out. With fewer than two varying
/// dimensions the result is 0.
///
/// # Panics
///
/// If n < 2.
pub fn mean_absolute_correlation(values: Tensor<2>) -> f64 {
    let [n, d] = values.dims();
    let (centered, std) = centered(values);
    let constant = std.clone().equal_elem(0.0);
    let varying = d as f64 - constant.clone().int().sum().into_scalar::<f64>();
    if varying < 2.0 {
        return 0.0;
    }
    // Centered constants are 0, whatever the divisor.
    let unit = centered / (std.mask_fill(constant, 1.0) * ((n - 1) as f64).sqrt());
    let mut sum = 0.0;
    for start in (0..d).step_by(COLUMNS) {
        let columns = unit.clone().slice([0..n, start..d.min(start + COLUMNS)]);
        let block = columns.transpose().matmul(unit.clone());
        sum += block.abs().sum().into_scalar::<f64>();
    }
    // The diagonal holds one 1 per varying dimension.
    ((sum - varying) / (varying * (varying - 1.0))).clamp(0.0, 1.0)
}

/// The columns without their means, `[n, d]`, and their standard deviations, `[1, d]`.
fn centered(values: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [n, _] = values.dims();
    assert!(
        n >= 2,
        "embeddings of {n} images have no spread: 2 are needed"
    );
    let values = values.detach();
    let centered = values.clone() - values.mean_dim(0);
    let squares = (centered.clone() * centered.clone()).sum_dim(0);
    (centered, (squares / (n - 1) as f64).sqrt())
}
