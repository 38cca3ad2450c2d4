//! The fused criterion on the CPU.
//!
//! One pass over stripes of 64 columns (`stripe`) sorts, maps, takes the spacings, and writes the
//! centered Psi(z) and the slope of the entropy term; each stripe is a panel with contiguous rows.
//! Two matrix products (`product`, `tile`) compute the covariance and its slope. A last pass
//! (`finish`) multiplies both slopes by Psi'(z). Working memory besides the gradient: 2 n d +
//! min(n, d)^2 numbers, partial sums of the product, and a few panels per thread.

mod buffer;
mod finish;
mod math;
mod matrix;
mod order;
mod prefetch;
mod product;
mod sort;
mod space;
mod stripe;
mod tile;

#[cfg(test)]
mod tests;

use core::marker::PhantomData;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, TensorData};
use pulp::Arch;
use rayon::prelude::*;

use self::buffer::Buffer;
use self::finish::finish;
use self::product::Product;
use self::space::{Hypercube, Hypersphere, Space};
use self::stripe::{STRIPE, Scratch, Stripe, StripeSums};
use super::{FusedCriterion, ViewCriterion};
use crate::CompactSpace;

impl FusedCriterion for Flex {
    fn e2mc(z: FloatTensor<Self>, view: ViewCriterion) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (value, _) = evaluate(z, view, false);
        value.tensors()
    }

    fn e2mc_with_gradient(
        z: FloatTensor<Self>,
        view: ViewCriterion,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shape: [usize; 2] = z.layout().shape().dims();
        let (value, gradient) = evaluate(z, view, true);
        let (loss, terms) = value.tensors();
        (loss, terms, tensor(gradient, shape))
    }

    fn e2mc_scale(mut gradient: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        let factor = factor.storage::<f32>()[factor.layout().start_offset()];
        if factor != 1.0 {
            for g in gradient.storage_mut::<f32>() {
                *g *= factor;
            }
        }
        gradient
    }
}

fn tensor<const D: usize>(data: Vec<f32>, shape: [usize; D]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(data, shape))
}

/// The loss of one view and its terms.
struct Value {
    loss: f32,
    entropy: f32,
    covariance: f32,
}

impl Value {
    fn tensors(&self) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
        let terms = vec![self.entropy, self.covariance];
        (tensor(vec![self.loss], [1]), tensor(terms, [2]))
    }
}

/// The value, and the gradient if requested (else empty).
fn evaluate(z: FloatTensor<Flex>, view: ViewCriterion, gradient: bool) -> (Value, Vec<f32>) {
    let shape = z.layout().shape().dims();
    assert_eq!(z.dtype(), DType::F32);
    let z = z.to_contiguous();
    let z = z.as_slice::<f32>().expect("a contiguous f32 tensor");
    let arch = Arch::new();
    match view.space {
        CompactSpace::Hypersphere => evaluate_in::<Hypersphere>(arch, z, shape, view, gradient),
        CompactSpace::Hypercube => evaluate_in::<Hypercube>(arch, z, shape, view, gradient),
    }
}

/// `arch` is an instruction set that the processor supports.
fn evaluate_in<Psi: Space>(
    arch: Arch,
    z: &[f32],
    [n, d]: [usize; 2],
    view: ViewCriterion,
    want_gradient: bool,
) -> (Value, Vec<f32>) {
    let m = view.spacing;
    // Negative: the loss subtracts the entropy, which is the mean of the logarithms.
    let slope_factor =
        -f64::from(view.entropy_weight) / d as f64 / (n - m) as f64 * (n + 1) as f64 / m as f64;
    let panels = d.div_ceil(STRIPE) * STRIPE * n;
    let mut compact = Buffer::take(panels);
    let mut slope = Buffer::take(if want_gradient { panels } else { 0 });
    let mut squares = vec![0.0; d];
    let slopes: Vec<&mut [f32]> = if want_gradient {
        slope.chunks_mut(n * STRIPE).collect()
    } else {
        (0..d).step_by(STRIPE).map(|_| Default::default()).collect()
    };

    let sums: Vec<StripeSums> = compact
        .par_chunks_mut(n * STRIPE)
        .zip(slopes)
        .zip(squares.par_chunks_mut(STRIPE))
        .enumerate()
        .map_init(
            || Scratch::new(n, m),
            |scratch, (index, ((compact, slope), squares))| {
                arch.dispatch(Stripe {
                    z,
                    n,
                    d,
                    first: index * STRIPE,
                    width: squares.len(),
                    spacing: m,
                    epsilon: view.epsilon,
                    slope_factor: slope_factor as f32,
                    compact,
                    slope,
                    squares,
                    scratch,
                    space: PhantomData::<Psi>,
                })
            },
        )
        .collect();

    // Summed in order, so that the result does not depend on the number of threads.
    let entropy = sums.iter().map(|sums| sums.entropy).sum::<f64>() / d as f64;
    let squared_squares = sums.iter().map(|sums| sums.squared_squares).sum::<f64>();

    let product = Product::of(arch, &compact, [n, d]);

    let scale = 1.0 / (n - 1) as f64 / (n - 1) as f64 / d as f64;
    let covariance = product.off_diagonal(squared_squares) * scale;
    let gradient = if want_gradient {
        let factor = (4.0 * f64::from(view.covariance_weight) * scale) as f32;
        finish::<Psi>(
            arch,
            z,
            [n, d],
            &compact,
            &slope,
            &squares,
            &product,
            factor,
        )
    } else {
        Vec::new()
    };
    let loss =
        f64::from(view.covariance_weight) * covariance - f64::from(view.entropy_weight) * entropy;
    let value = Value {
        loss: loss as f32,
        entropy: entropy as f32,
        covariance: covariance as f32,
    };
    (value, gradient)
}
