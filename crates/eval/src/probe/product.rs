//! The two matrix products of a step. On Flex, they are 1 x 1 convolutions: the weights `[classes,
//! d]` are a feature map with a position per class, and the images are the filters.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use super::parameter::is_host;

/// Scores `[classes, b]` given the weights `[classes, d]` and features `[b, d]`. Copies neither if
/// no other tensor shares their memory.
pub(super) fn scores(weight: &mut Tensor<2>, features: &mut Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_host(&weight.device()) {
        return in_memory::scores(weight, features);
    }
    weight.clone().matmul(features.clone().transpose())
}

/// Gradient of the weights `[classes, d]` given the gradient of the scores `[classes, b]` and
/// features `[b, d]`.
pub(super) fn weight_gradient(error: &mut Tensor<2>, features: &mut Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if is_host(&error.device()) {
        return in_memory::weight_gradient(error, features);
    }
    error.clone().matmul(features.clone())
}

#[cfg(feature = "flex")]
mod in_memory {
    use burn::tensor::{Tensor, TensorData};
    use burn_flex_conv::kernels::{Arch, ConvShape, conv2d, conv2d_input_gradient};

    pub fn scores(weight: &mut Tensor<2>, features: &mut Tensor<2>) -> Tensor<2> {
        let ([classes, d], [b, _]) = (weight.dims(), features.dims());
        let shape = shape(classes, d, b);
        let values = read(weight, |weight| {
            read(features, |features| {
                conv2d(Arch::new(), weight, features, &shape, None)
            })
        });
        Tensor::from_data(TensorData::new(values, [classes, b]), &weight.device())
    }

    /// The weights are the input of the convolution, so this is the gradient of an input.
    pub fn weight_gradient(error: &mut Tensor<2>, features: &mut Tensor<2>) -> Tensor<2> {
        let ([classes, b], [_, d]) = (error.dims(), features.dims());
        let shape = shape(classes, d, b);
        let values = read(error, |error| {
            read(features, |features| {
                conv2d_input_gradient(Arch::new(), error, features, &shape)
            })
        });
        Tensor::from_data(TensorData::new(values, [classes, d]), &error.device())
    }

    fn shape(positions: usize, channels_in: usize, channels_out: usize) -> ConvShape {
        ConvShape {
            batch: 1,
            channels_in,
            channels_out,
            input: [1, positions],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
        }
    }

    /// Gives the tensor's values to `with`. Leaves the tensor as it was.
    fn read<T>(tensor: &mut Tensor<2>, with: impl FnOnce(&[f32]) -> T) -> T {
        let device = tensor.device();
        let data = std::mem::replace(tensor, Tensor::zeros([1, 1], &device)).into_data();
        let result = with(data.as_slice().expect("probes compute in f32"));
        *tensor = Tensor::from_data(data, &device);
        result
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn products_equal_matmul_to_rounding() {
        let device = Device::flex();
        for (classes, d, b) in [(1, 1, 1), (10, 7, 3), (100, 300, 33), (33, 512, 256)] {
            let random =
                |shape| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let (weight, features, error) =
                (random([classes, d]), random([b, d]), random([classes, b]));
            let expected = [
                weight.clone().matmul(features.clone().transpose()),
                error.clone().matmul(features.clone()),
            ];
            let given = [weight.clone(), features.clone(), error.clone()];
            let [mut weight, mut features, mut error] = [weight, features, error];
            let found = [
                scores(&mut weight, &mut features),
                weight_gradient(&mut error, &mut features),
            ];
            for (found, expected) in found.into_iter().zip(expected) {
                // Sums of up to 512 products of numbers around 1, in another order.
                let tolerance = Tolerance::rel_abs(1e-5, 1e-4);
                found
                    .into_data()
                    .assert_approx_eq::<f32>(&expected.into_data(), tolerance);
            }
            for (after, before) in [weight, features, error].into_iter().zip(given) {
                assert_eq!(after.into_data(), before.into_data());
            }
        }
    }
}
