//! Loss and gradient of softmax regression, in closed form.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData, activation::softmax};
use rayon::prelude::*;

use super::parameter::is_host;

/// Limits the reported loss of a vanished probability to 87 instead of infinity. Added rather than
/// used as a maximum, which would hide NaN.
const SMALLEST_PROBABILITY: f32 = f32::MIN_POSITIVE;

/// Smaller probabilities do not matter in an f32 gradient. But once a probe fits its images, they
/// become subnormal numbers, which slow a processor down several times.
const VANISHING: f32 = 1e-20;

/// Classes that one thread handles at a time. Constant, so that sums do not depend on the threads.
const CLASSES: usize = 128;

/// The loss of scores, and its gradient.
pub(super) struct CrossEntropy {
    /// Sum of the losses, `[1]`.
    pub loss: Tensor<1>,
    /// Gradient of the mean loss with respect to the scores, `[classes, b]`:
    /// (softmax - onehot) / b.
    pub error: Tensor<2>,
}

/// Cross-entropy of scores plus `bias` `[classes, 1]`, given the label of each column of the scores
/// `[classes, b]`.
pub(super) fn cross_entropy(scores: Tensor<2>, bias: Tensor<2>, labels: &[usize]) -> CrossEntropy {
    match is_host(&scores.device()) {
        true => in_memory(scores, bias, labels),
        false => on_device(scores, bias, labels),
    }
}

/// By tensor operations.
fn on_device(scores: Tensor<2>, bias: Tensor<2>, labels: &[usize]) -> CrossEntropy {
    let device = scores.device();
    let labels: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let batch = labels.len();
    let labels = TensorData::new(labels, [1, batch]);
    let labels = Tensor::<2, Int>::from_data(labels, &device);
    // Adding and subtracting the offset makes vanishing probabilities exactly 0.
    let probability = softmax(scores + bias, 0)
        .add_scalar(VANISHING)
        .sub_scalar(VANISHING);
    let of_label = probability.clone().gather(0, labels.clone());
    let loss = of_label.add_scalar(SMALLEST_PROBABILITY).log().sum().neg();
    let minus_one = Tensor::full([1, batch], -1.0, &device);
    let error = probability
        .scatter(0, labels, minus_one, IndexingUpdateOp::Add)
        .div_scalar(batch as f64);
    CrossEntropy { loss, error }
}

/// The same to rounding, in three passes over the memory of the scores.
fn in_memory(scores: Tensor<2>, bias: Tensor<2>, labels: &[usize]) -> CrossEntropy {
    let device = scores.device();
    let batch = labels.len();
    let (mut scores, bias) = (scores.into_data(), bias.into_data());
    let values = scores.as_mut_slice::<f32>().expect("probes compute in f32");
    let bias = bias.as_slice::<f32>().expect("probes compute in f32");

    let largest = per_part(values, batch, |first, part| {
        let mut largest = vec![f32::NEG_INFINITY; batch];
        for (row, bias) in part.chunks_exact_mut(batch).zip(&bias[first..]) {
            for (score, largest) in row.iter_mut().zip(&mut largest) {
                *score += bias;
                // Keeps NaN out of the maximum, but not out of the scores.
                *largest = if *score > *largest { *score } else { *largest };
            }
        }
        largest
    });
    let largest = combined(largest, f32::max);
    let sums = per_part(values, batch, |_, part| {
        let mut sums = vec![0.0; batch];
        for row in part.chunks_exact_mut(batch) {
            for ((score, largest), sum) in row.iter_mut().zip(&largest).zip(&mut sums) {
                *score = (*score - largest).exp();
                *sum += *score;
            }
        }
        sums
    });
    let sums = combined(sums, |a, b| a + b);

    // Makes vanishing probabilities exactly 0.
    let probability = |value: f32, sum: f32| (value / sum + VANISHING) - VANISHING;
    let size = batch as f32;
    let of_labels: Vec<(usize, f32)> = labels
        .iter()
        .enumerate()
        .map(|(image, label)| {
            let at = label * batch + image;
            (at, probability(values[at], sums[image]))
        })
        .collect();
    per_part(values, batch, |_, part| {
        for row in part.chunks_exact_mut(batch) {
            for (value, &sum) in row.iter_mut().zip(&sums) {
                *value = probability(*value, sum) / size;
            }
        }
    });
    let mut loss = 0.0;
    for (at, of_label) in of_labels {
        loss -= f64::from((of_label + SMALLEST_PROBABILITY).ln());
        values[at] = (of_label - 1.0) / size;
    }
    CrossEntropy {
        loss: Tensor::from_data(TensorData::from([loss as f32]), &device),
        error: Tensor::from_data(scores, &device),
    }
}

/// The results of `of_part` for parts of [`CLASSES`] rows of `[classes, b]` values. It receives the
/// number of the part's first row, and the part.
fn per_part<T: Send>(
    values: &mut [f32],
    batch: usize,
    of_part: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Vec<T> {
    let parts = values.par_chunks_mut(CLASSES * batch).enumerate();
    let results = parts.map(|(index, part)| of_part(index * CLASSES, part));
    results.collect()
}

/// The parts' vectors, combined elementwise in their order.
fn combined(parts: Vec<Vec<f32>>, combine: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().expect("there is a class");
    for part in parts {
        for (all, value) in all.iter_mut().zip(part) {
            *all = combine(*all, value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn both_ways_are_equal_to_rounding() {
        let device = Device::flex();
        for (classes, batch) in [(1, 3), (10, 7), (2 * CLASSES + 5, 33)] {
            let random = |shape, scale| {
                Tensor::<2>::random(shape, Distribution::Normal(0.0, scale), &device)
            };
            // Wide enough for probabilities that vanish.
            let (scores, bias) = (random([classes, batch], 40.0), random([classes, 1], 1.0));
            let labels: Vec<usize> = (0..batch).map(|i| i * 7 % classes).collect();
            let found = [on_device, in_memory]
                .map(|way| way(scores.clone(), bias.clone(), &labels))
                .map(|found| [found.loss.into_data(), found.error.into_data()]);
            let [[loss, error], [same_loss, same_error]] = found;
            // Sums of up to 261 numbers in f32, in another order.
            same_loss.assert_approx_eq::<f32>(&loss, burn::tensor::Tolerance::rel_abs(1e-5, 1e-6));
            same_error
                .assert_approx_eq::<f32>(&error, burn::tensor::Tolerance::rel_abs(1e-4, 1e-7));
        }
    }

    #[test]
    fn nan_is_not_hidden() {
        let device = Device::flex();
        let scores = Tensor::<2>::from_data([[1.0, f32::NAN], [2.0, 0.0]], &device);
        let found = cross_entropy(scores, Tensor::zeros([2, 1], &device), &[0, 1]);
        assert!(found.loss.into_scalar::<f32>().is_nan());
    }
}
