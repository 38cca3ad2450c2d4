pub(crate) mod hypercube;
pub(crate) mod hypersphere;
#[cfg(test)]
mod tests;

use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::surrogate::carry_derivative;

/// The compact space of the criterion: an elementwise map Psi from the real line to \[0, 1\].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CompactSpace {
    /// Psi is the standard normal cumulative distribution function. For methods that L2-normalize
    /// their embeddings (SwAV, SimSiam): normal marginals, normalized, are uniform on the sphere.
    Hypersphere,
    /// Psi is the sigmoid. For methods that do not L2-normalize (VICReg).
    Hypercube,
}

impl CompactSpace {
    /// Maps embeddings onto the compact space, elementwise.
    ///
    /// Accurate to f32 relative precision in the lower tail and absolute precision elsewhere. The
    /// gradient is the closed-form density Psi'.
    ///
    /// # Shapes
    ///
    /// - z: \[n, d\], any float dtype
    /// - output: \[n, d\], f32, in \[0, 1\]; NaN where `z` is NaN or infinite
    pub fn transform(self, z: Tensor<2>) -> Tensor<2> {
        let z = z.cast(FloatDType::F32);
        let tails = self.tails(z.clone().detach());
        let positive = z.clone().detach().greater_equal_elem(0.0);
        let upper = tails.mass.clone().neg() + 1.0;
        tails.mass.mask_where(positive, upper) + carry_derivative(z, tails.density)
    }

    /// The m-spacings of Psi on rows sorted along the last dimension, with full relative
    /// precision wherever they lie, and the density Psi' at every element. Both detached.
    ///
    /// # Shapes
    ///
    /// - sorted: \[d, n\], f32, detached
    /// - output: spacings \[d, n - m\], density \[d, n\]
    pub(crate) fn spacings(self, sorted: Tensor<2>, m: usize) -> (Tensor<2>, Tensor<2>) {
        let tails = self.tails(sorted.clone());
        let spacings = match self {
            Self::Hypersphere => hypersphere::spacings(sorted, &tails, m),
            Self::Hypercube => hypercube::spacings(sorted, &tails, m),
        };
        (spacings, tails.density)
    }

    fn tails(self, z: Tensor<2>) -> Tails {
        match self {
            Self::Hypersphere => hypersphere::tails(z),
            Self::Hypercube => hypercube::tails(z),
        }
    }
}

/// The basis of both maps. On either side of 0, the mass *beyond* z is small and keeps its relative
/// precision; Psi near 1 would have lost it.
struct Tails {
    /// `Psi(-|z|)`, from 0 to 1/2.
    mass: Tensor<2>,
    /// `Psi'(z)`.
    density: Tensor<2>,
}
