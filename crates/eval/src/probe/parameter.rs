use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// Values that one thread updates at a time; fewer are not worth a second thread.
const PIECE: usize = 1 << 15;

/// A trained parameter with its momentum.
pub(super) struct Parameter<const D: usize> {
    pub value: Tensor<D>,
    velocity: Tensor<D>,
}

/// The rates of a step of SGD.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub learning_rate: f64,
    pub momentum: f64,
    pub weight_decay: f64,
}

impl<const D: usize> Parameter<D> {
    pub fn new(value: Tensor<D>) -> Self {
        let velocity = value.zeros_like();
        Self { value, velocity }
    }

    /// One step of SGD with momentum and an L2 penalty, as in PyTorch.
    pub fn descend(&mut self, gradient: Tensor<D>, rates: Rates) {
        let device = self.value.device();
        // Taken out, so that nothing else shares their memory.
        let nothing = Tensor::zeros([1; D], &device);
        let value = std::mem::replace(&mut self.value, nothing.clone());
        let velocity = std::mem::replace(&mut self.velocity, nothing);
        let step = if is_host(&device) {
            in_memory
        } else {
            on_device
        };
        [self.value, self.velocity] = step([value, velocity, gradient], rates);
    }
}

/// Whether tensors of the device are in host memory.
pub(super) fn is_host(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// The new parameter and velocity, by tensor operations.
fn on_device<const D: usize>(
    [value, velocity, gradient]: [Tensor<D>; 3],
    rates: Rates,
) -> [Tensor<D>; 2] {
    let gradient = decayed(gradient, &value, rates.weight_decay);
    let velocity = velocity * rates.momentum + gradient;
    [value - velocity.clone() * rates.learning_rate, velocity]
}

/// The gradient plus that of the L2 penalty.
pub(super) fn decayed<const D: usize>(
    gradient: Tensor<D>,
    parameter: &Tensor<D>,
    weight_decay: f64,
) -> Tensor<D> {
    if weight_decay == 0.0 {
        return gradient;
    }
    gradient + parameter.clone() * weight_decay
}

/// The result of [`on_device`] to the last bit, in one pass over the memory and on all cores.
/// Copies nothing if no other tensor shares the memory.
fn in_memory<const D: usize>(
    [value, velocity, gradient]: [Tensor<D>; 3],
    rates: Rates,
) -> [Tensor<D>; 2] {
    let device = value.device();
    let [mut value, mut velocity, gradient] = [value, velocity, gradient].map(Tensor::into_data);
    let [learning_rate, momentum, decay] =
        [rates.learning_rate, rates.momentum, rates.weight_decay].map(|rate| rate as f32);
    let gradients = gradient.as_slice::<f32>().expect("probes compute in f32");
    values(&mut value)
        .par_chunks_mut(PIECE)
        .zip(values(&mut velocity).par_chunks_mut(PIECE))
        .zip(gradients.par_chunks(PIECE))
        .for_each(|((values, velocities), gradients)| {
            for ((p, v), &g) in values.iter_mut().zip(velocities).zip(gradients) {
                let g = if decay == 0.0 { g } else { g + *p * decay };
                *v = *v * momentum + g;
                *p -= *v * learning_rate;
            }
        });
    [value, velocity].map(|data| Tensor::from_data(data, &device))
}

fn values(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice::<f32>().expect("probes compute in f32")
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn both_ways_are_equal_to_the_last_bit() {
        let device = Device::flex();
        assert!(is_host(&device));
        for weight_decay in [0.0, 1e-3] {
            let rates = Rates {
                learning_rate: 0.3,
                momentum: 0.9,
                weight_decay,
            };
            let tensors =
                [0; 3].map(|_| Tensor::<2>::random([7, PIECE / 3], Distribution::Default, &device));
            let new = [on_device(tensors.clone(), rates), in_memory(tensors, rates)];
            let [[value, velocity], [same_value, same_velocity]] =
                new.map(|tensors| tensors.map(Tensor::into_data));
            assert_eq!(value, same_value);
            assert_eq!(velocity, same_velocity);
        }
    }
}
