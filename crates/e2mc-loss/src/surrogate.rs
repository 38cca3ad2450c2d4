use burn::tensor::Tensor;

/// A zero-valued tensor whose derivative with respect to `x` is `derivative`, elementwise.
///
/// Adding it to a detached value gives that value an exact closed-form derivative, so that autodiff
/// neither traverses nor stores the polynomial behind the value.
///
/// It is NaN where `x` is not finite. This is how NaN and infinite embeddings reach the loss.
///
/// # Shapes
///
/// - derivative, x, output: \[n, d\]
pub(crate) fn carry_derivative(x: Tensor<2>, derivative: Tensor<2>) -> Tensor<2> {
    derivative.detach() * (x.clone() - x.detach())
}
