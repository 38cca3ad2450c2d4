//! The step that SGD, LARC and LARS share.

use burn::tensor::Tensor;

use super::descent::{Adaptation, Descent, EPSILON};
#[cfg(feature = "flex")]
use super::fused;

impl Descent {
    /// The parameter after a step, and its momentum buffer, if momentum is above 0.
    ///
    /// # Shapes
    ///
    /// - All tensors have the parameter's shape.
    pub(super) fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        buffer: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        if self.momentum == 0.0 {
            let grad = self.adapt(&tensor, grad);
            return (tensor - grad * lr, None);
        }
        let Some(buffer) = buffer else {
            let buffer = self.adapt(&tensor, grad);
            return (tensor - buffer.clone() * lr, Some(buffer));
        };
        #[cfg(feature = "flex")]
        if fused::covers(&tensor) {
            let (tensor, buffer) = fused::step(self, lr, tensor, grad, buffer);
            return (tensor, Some(buffer));
        }
        let (tensor, buffer) = self.composed(lr, tensor, grad, buffer);
        (tensor, Some(buffer))
    }

    /// The step in Burn's own operations.
    fn composed<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        buffer: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        let buffer = buffer * self.momentum + self.adapt(&tensor, grad);
        (tensor - buffer.clone() * lr, buffer)
    }

    /// The gradient with decay and adaptation. Nothing waits for the device.
    fn adapt<const D: usize>(&self, tensor: &Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let norm = |x: &Tensor<D>| x.clone().square().sum().sqrt();
        let decayed = |grad: Tensor<D>| match self.weight_decay {
            0.0 => grad,
            weight_decay => grad + tensor.clone() * weight_decay,
        };
        match self.adaptation {
            Adaptation::None => decayed(grad),
            Adaptation::Larc { trust } => {
                let (tensor_norm, grad_norm) = (norm(tensor), norm(&grad));
                let size = grad_norm.clone() + tensor_norm.clone() * self.weight_decay + EPSILON;
                let factor = (tensor_norm.clone() * trust / size)
                    .mask_fill(grad_norm.equal_scalar(0.0), 0.0)
                    .mask_fill(tensor_norm.equal_scalar(0.0), 1.0);
                decayed(grad) * factor.reshape([1; D])
            }
            Adaptation::Lars { trust } => {
                let grad = decayed(grad);
                let (tensor_norm, grad_norm) = (norm(tensor), norm(&grad));
                let factor = (tensor_norm.clone() * trust / grad_norm.clone())
                    .mask_fill(grad_norm.equal_scalar(0.0), 1.0)
                    .mask_fill(tensor_norm.equal_scalar(0.0), 1.0);
                grad * factor.reshape([1; D])
            }
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn one_pass_equals_burns_operations() {
        let device = Device::default();
        let random = |shape| Tensor::<2>::random(shape, Distribution::Default, &device);
        let adaptations = [
            Adaptation::None,
            Adaptation::Larc { trust: 0.01 },
            Adaptation::Lars { trust: 0.01 },
        ];
        // Smaller and larger than one task.
        for shape in [[1, 1], [37, 5], [300, 301]] {
            let (tensor, grad, buffer) = (random(shape), random(shape), random(shape));
            let none = tensor.zeros_like();
            for adaptation in adaptations {
                let descent = Descent {
                    momentum: 0.9,
                    weight_decay: 0.1,
                    adaptation,
                };
                for (tensor, grad) in [
                    (tensor.clone(), grad.clone().swap_dims(0, 1).reshape(shape)),
                    (tensor.clone(), none.clone()),
                    (none.clone(), grad.clone()),
                    (none.clone(), none.clone()),
                ] {
                    let step = |one_pass: bool| {
                        let (tensor, grad) = (tensor.clone(), grad.clone());
                        let buffer = buffer.clone();
                        match one_pass {
                            true => fused::step(&descent, 0.5, tensor, grad, buffer),
                            false => descent.composed(0.5, tensor, grad, buffer),
                        }
                    };
                    let (expected, found) = (step(false), step(true));
                    // Norms are added in another order.
                    let near = burn::tensor::Tolerance::<f32>::rel_abs(1e-5, 1e-6);
                    let data = |tensor: Tensor<2>| tensor.into_data();
                    data(found.0).assert_approx_eq(&data(expected.0), near);
                    data(found.1).assert_approx_eq(&data(expected.1), near);
                }
            }
        }
    }
}
