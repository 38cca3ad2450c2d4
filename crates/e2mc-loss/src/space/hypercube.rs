use burn::tensor::Tensor;

use super::Tails;
use crate::entropy::ends;

/// Below this width `1 - exp(-h)` is summed as a series: above it the subtraction loses less than
/// three bits, below it six terms suffice (the next is h^6/5040 of the first, 5e-8).
pub(crate) const NARROW: f64 = 0.25;

/// Tail mass and density of the sigmoid: `q = e/(1+e)` with `e = exp(-|z|)`, and `q (1-q)`.
///
/// # Shapes
///
/// - z, output: \[n, d\]
pub(super) fn tails(z: Tensor<2>) -> Tails {
    let e = z.abs().neg().exp();
    let mass = e.clone() / (e + 1.0);
    let density = mass.clone() * (mass.clone().neg() + 1.0);
    Tails { mass, density }
}

/// `sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(-(b-a)))`: a product, so that
/// nothing cancels, whatever the place and width of the spacing.
///
/// # Shapes
///
/// - sorted: \[d, n\], rows ascending
/// - output: \[d, n - m\]
pub(super) fn spacings(sorted: Tensor<2>, tails: &Tails, m: usize) -> Tensor<2> {
    let complement = tails.mass.clone().neg() + 1.0;
    let positive = sorted.clone().greater_equal_elem(0.0);
    let cdf = tails
        .mass
        .clone()
        .mask_where(positive.clone(), complement.clone());
    let survival = complement.mask_where(positive, tails.mass.clone());
    let (low, high) = ends(sorted, m);
    let (survival_low, _) = ends(survival, m);
    let (_, cdf_high) = ends(cdf, m);
    cdf_high * survival_low * one_minus_exp_neg(high - low)
}

/// `1 - exp(-h)` for h >= 0, to full relative precision. (Burn has no `expm1`.)
fn one_minus_exp_neg(h: Tensor<2>) -> Tensor<2> {
    let wide = h.clone().neg().exp().neg() + 1.0;
    let mut series = h.clone() * (-1.0 / 720.0) + 1.0 / 120.0;
    for coefficient in [-1.0 / 24.0, 1.0 / 6.0, -0.5, 1.0] {
        series = series * h.clone() + coefficient;
    }
    let narrow = h.clone().lower_elem(NARROW);
    wide.mask_where(narrow, series * h)
}
