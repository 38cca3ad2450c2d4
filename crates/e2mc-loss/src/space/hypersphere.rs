use core::f64::consts::PI;

use burn::tensor::Tensor;

use super::Tails;
use crate::entropy::ends;

/// `P` in `Psi(-x) = exp(-x^2/2) t P(t)`, `t = 1/(1 + x/4)`, lowest power first: Psi is the normal
/// cumulative distribution function. Our minimax fit
/// (tests/reference/e2mc_loss/fit_normal_tail.py): relative error 5e-8 for all x >= 0.
pub(crate) const TAIL: [f64; 10] = [
    0.099_735_565,
    0.099_736_43,
    0.093_466_356,
    0.081_603_095,
    0.058_975_21,
    0.063_698_94,
    -0.031_717_215,
    0.095_596_77,
    -0.080_877_13,
    0.019_781_97,
];

/// Beyond it `exp(-x^2/4)` is 0 in f32; the bound keeps the arithmetic on larger x finite.
const FAR: f64 = 32.0;

/// `|z|` is split at this fraction of a unit, so that its head squares exactly in f32.
pub(crate) const HEAD: f64 = 1.0 / 64.0;

/// Spacings with `h (1 + |c|)` below this (h the width, c the midpoint) are integrated by a series
/// about the midpoint, which is exact to 4e-8 there. Above this value, the subtraction of tail
/// masses loses less than three bits.
pub(crate) const NARROW: f64 = 0.3;

/// Tail mass and density of the standard normal distribution.
///
/// # Shapes
///
/// - z, output: \[n, d\]
pub(super) fn tails(z: Tensor<2>) -> Tails {
    let x = z.abs().clamp_max(FAR);
    let root = root_gaussian(x.clone());
    let gaussian = root.clone() * root;
    let t = (x * 0.25 + 1.0).recip();
    let [lower @ .., highest] = TAIL;
    let mut polynomial = t.clone() * highest;
    for coefficient in lower.into_iter().rev() {
        // The last product is by the factor t in front of P.
        polynomial = (polynomial + coefficient) * t.clone();
    }
    Tails {
        mass: gaussian.clone() * polynomial,
        density: gaussian / (2.0 * PI).sqrt(),
    }
}

/// `exp(-x^2/4)` for x >= 0. The rounding error of x^2 would be multiplied by x^2/4 in the
/// result; so x is split into a head, whose square is exact, and a small rest.
fn root_gaussian(x: Tensor<2>) -> Tensor<2> {
    let head = (x.clone() / HEAD).round() * HEAD;
    let rest = (x.clone() - head.clone()) * (x + head.clone());
    (head.clone() * head * -0.25).exp() * (rest * -0.25).exp()
}

/// `Psi(b) - Psi(a)`.
///
/// Wide spacings: the difference of the tail masses on the side where both are small, or one
/// minus both masses where the spacing holds 0. Narrow ones, where that would cancel: a series
/// about the midpoint c, `h sqrt(phi(a) phi(b)) (1 + ...)` with `h = b - a`, from
///
/// ```text
/// phi(c) = sqrt(phi(a) phi(b)) exp(h^2/8)
/// integral of phi over [c - h/2, c + h/2] = phi(c) h (1 + h^2/24 He2(c) + h^4/1920 He4(c) + ...)
/// ```
///
/// with the Hermite polynomials He2 = c^2 - 1 and He4 = c^4 - 6 c^2 + 3.
///
/// # Shapes
///
/// - sorted: \[d, n\], rows ascending
/// - output: \[d, n - m\]
pub(super) fn spacings(sorted: Tensor<2>, tails: &Tails, m: usize) -> Tensor<2> {
    let negative = sorted.clone().lower_elem(0.0);
    // Psi on the left of 0, Psi - 1 on the right.
    let signed = tails
        .mass
        .clone()
        .neg()
        .mask_where(negative, tails.mass.clone());
    let (signed_low, signed_high) = ends(signed, m);
    let (low, high) = ends(sorted, m);
    let (density_low, density_high) = ends(tails.density.clone(), m);

    let difference = signed_high - signed_low;
    let holds_zero = low
        .clone()
        .lower_elem(0.0)
        .bool_and(high.clone().greater_equal_elem(0.0));
    let wide = difference.clone().mask_where(holds_zero, difference + 1.0);

    let h = high.clone() - low.clone();
    let c2 = ((low + high) * 0.5).square();
    let narrow = (c2.clone().sqrt() + 1.0) * h.clone();
    let narrow = narrow.lower_elem(NARROW);
    let h2 = h.clone().square();
    let he2 = c2.clone() - 1.0;
    let he4 = c2.clone() * (c2 - 6.0) + 3.0;
    let integral = (he4 * h2.clone() / 80.0 + he2) * h2.clone() / 24.0 + 1.0;
    let midpoint = (h2.clone() / 16.0 + 1.0) * h2 / 8.0 + 1.0;
    let series = (density_low.sqrt() * density_high.sqrt()) * midpoint * integral * h;
    wide.mask_where(narrow, series)
}
