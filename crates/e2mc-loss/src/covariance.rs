use burn::tensor::{Bool, FloatDType, Tensor};

/// Mean over dimensions of the squared off-diagonal covariances (the paper's eq. 8 and C.7):
///
/// ```text
/// 1/d sum_{j != k} Cov_jk^2,   Cov = K/(n-1),   K = Zbar^T Zbar,   Zbar = x minus its column means
/// ```
///
/// The criterion calls it on embeddings in the compact space; VICReg's covariance term is the
/// same function of the raw embeddings.
///
/// When d > n, it is computed from the n x n Gram matrix by the duality
/// `|Zbar^T Zbar| = |Zbar Zbar^T|` (Frobenius norms). Value and gradient are the same, and no d x d
/// matrix is needed.
///
/// # Range
///
/// At least 0 (up to rounding, about 1e-7 of the sum of squared variances). For `x` in \[0, 1\] at
/// most `(d-1) (n/(4(n-1)))^2`, about (d-1)/16, when all columns are the same half zeros, half
/// ones. Identical uniform columns give (d-1)/144; independent columns of variance s^2 give
/// `(d-1) s^4/(n-1)` on average, so (d-1)/(144(n-1)) when uniform. That much is sampling noise, not
/// redundancy.
///
/// # Shapes
///
/// - x: \[n, d\], any float dtype
/// - output: \[1\], f32; 0 if d = 1; NaN if `x` is not finite
///
/// # Panics
///
/// If n < 2 or d = 0.
pub fn off_diagonal_covariance(x: Tensor<2>) -> Tensor<1> {
    let [n, d] = x.dims();
    assert!(
        n >= 2 && d >= 1,
        "the covariance needs [n, d] with n >= 2 and d >= 1, found {:?}",
        [n, d],
    );
    let x = x.cast(FloatDType::F32);
    let centered = x.clone() - x.mean_dim(0);
    let sum = if d > n {
        gram_form(centered)
    } else {
        direct_form(centered)
    };
    sum / d as f64
}

/// `sum_{j != k} Cov_jk^2` from the d x d covariance matrix, its diagonal removed exactly.
///
/// # Shapes
///
/// - centered: \[n, d\], columns of mean 0
/// - output: \[1\]
pub(crate) fn direct_form(centered: Tensor<2>) -> Tensor<1> {
    let [n, d] = centered.dims();
    let diagonal = Tensor::<2, Bool>::diag_mask([d, d], 0, &centered.device()).bool_not();
    // The left factor is detached, so that backward computes one product instead of two equal ones.
    // `double_gradient` restores the other half of the gradient.
    let product = centered.clone().detach().transpose().matmul(centered);
    let covariance = (product / (n - 1) as f64).mask_fill(diagonal, 0.0);
    double_gradient(sum_of_squares(covariance))
}

/// The same sum from the n x n Gram matrix: `|G/(n-1)|^2 - sum_j Var_j^2`, `G = Zbar Zbar^T`.
///
/// # Shapes
///
/// - centered: \[n, d\], columns of mean 0
/// - output: \[1\]
pub(crate) fn gram_form(centered: Tensor<2>) -> Tensor<1> {
    let degrees = (centered.dims()[0] - 1) as f64;
    let variances = centered.clone().square().sum_dim(0) / degrees;
    let product = centered.clone().matmul(centered.detach().transpose());
    double_gradient(sum_of_squares(product / degrees)) - sum_of_squares(variances)
}

/// Summed row by row first: one running f32 sum over 10^5 squares would lose digits.
fn sum_of_squares(x: Tensor<2>) -> Tensor<1> {
    x.square().sum_dim(1).sum()
}

/// The same value with twice the gradient; 2x - x is exact.
fn double_gradient(x: Tensor<1>) -> Tensor<1> {
    x.clone() * 2.0 - x.detach()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData};
    use proptest::prelude::*;

    use super::*;

    /// A form's value and gradient on one input.
    fn value_and_gradient(x: &TensorData, form: fn(Tensor<2>) -> Tensor<1>) -> (f32, Vec<f32>) {
        let x = Tensor::<2>::from_data(x.clone(), &Device::flex().autodiff()).require_grad();
        let value = form(x.clone() - x.clone().mean_dim(0));
        let gradient = x.grad(&value.backward()).expect("the value depends on x");
        (
            value.into_scalar(),
            gradient.into_data().try_into_vec().expect("an f32 tensor"),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn gram_form_equals_direct_form(n in 2usize..40, d in 1usize..60, seed in any::<u64>()) {
            let device = Device::flex();
            device.seed(seed);
            let x = Tensor::<2>::random([n, d], Distribution::Normal(0.3, 1.0), &device);
            // The Gram form subtracts the sum of squared variances: rounding scales with it.
            let scale = f64::from(x.clone().var(0).square().sum().into_scalar::<f32>());
            let x = x.into_data();
            let (direct, direct_gradient) = value_and_gradient(&x, direct_form);
            let (gram, gram_gradient) = value_and_gradient(&x, gram_form);
            let tolerance = 1e-5 * (f64::from(direct) + scale);
            prop_assert!(f64::from((direct - gram).abs()) <= tolerance, "{direct} {gram}");
            let largest = direct_gradient.iter().fold(0f32, |a, g| a.max(g.abs()));
            for (a, b) in direct_gradient.iter().zip(&gram_gradient) {
                let tolerance = 1e-5 * (f64::from(largest) + scale);
                prop_assert!(f64::from((a - b).abs()) <= tolerance, "{a} {b}");
            }
        }
    }
}
