use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use super::{LinearProbeConfig, classifier::Classifier};
use crate::{EvalError, Features, Standardizer};

/// Rows scored at a time, to bound the memory of the scores `[rows, classes]`.
const SCORED_ROWS: usize = 4096;

/// Keeps the order of the images independent of the initial weights under one seed.
const ORDER_STREAM: u64 = 1;

/// What a linear probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Top-1 accuracy on the test images after the last epoch, in [0, 1].
    pub accuracy: f64,
    /// Best top-1 accuracy on the test images over all epochs: the paper's protocol. It is chosen
    /// on the test images, so it flatters every model a little.
    pub best_accuracy: f64,
    /// The first epoch that reached [`best_accuracy`](Self::best_accuracy), counted from 1.
    pub best_epoch: usize,
    /// Class given to each test image after the last epoch.
    pub predictions: Vec<u32>,
    /// Whether that class is right: what the paired statistics compare.
    pub correct: Vec<bool>,
    /// Mean training loss (cross-entropy, nats) of each epoch, measured before each step.
    pub train_loss: Vec<f64>,
    /// Top-1 accuracy on the test images after each epoch, in [0, 1].
    pub test_accuracy: Vec<f64>,
}

/// Trains softmax regression on the training features and judges it on the test features.
///
/// Minibatch SGD on cached features, in f32 on the given device (of which the autodiff property is
/// ignored: the gradient is written out). On one device the same seed gives the same result to the
/// last bit, since initial weights and order are drawn on the host.
///
/// # Errors
/// [`EvalError::InvalidOption`] for a setting outside its range,
/// [`EvalError::DimensionMismatch`] and [`EvalError::ClassMismatch`] if the two sets do not belong
/// together, [`EvalError::MissingClass`] if a class of the test images has no training image, and
/// [`EvalError::Diverged`] if the training loss stops being finite.
pub fn linear_probe(
    train: &Features,
    test: &Features,
    config: &LinearProbeConfig,
    device: &Device,
) -> Result<ProbeResult, EvalError> {
    config.validate()?;
    check_sets(train, test)?;
    let device = device.clone().inner();

    let standardized = config
        .standardize
        .then(|| {
            let standardizer = Standardizer::fit(train);
            Ok::<_, EvalError>((standardizer.apply(train)?, standardizer.apply(test)?))
        })
        .transpose()?;
    let (train, test) = match &standardized {
        Some((train, test)) => (train, test),
        None => (train, test),
    };

    let mut classifier = Classifier::random(train.dims(), train.classes(), config.seed, &device);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(ORDER_STREAM);
    let mut order: Vec<i32> = (0..train.len() as i32).collect();

    let training = Labelled::new(train, &device);
    let test_values = test.tensor(&device);
    let mut train_loss = Vec::with_capacity(config.epochs);
    let mut test_accuracy = Vec::with_capacity(config.epochs);
    let mut predictions = Vec::new();
    for epoch in 0..config.epochs {
        order.shuffle(&mut rng);
        let loss = train_epoch(&mut classifier, &training, &order, epoch, config);
        if !loss.is_finite() {
            return Err(EvalError::Diverged {
                epoch: epoch + 1,
                learning_rate: config.learning_rate,
            });
        }
        train_loss.push(loss);
        predictions = predict(&classifier, &test_values);
        test_accuracy.push(accuracy(&predictions, test.labels()));
    }

    let mut best = 0;
    for (epoch, &accuracy) in test_accuracy.iter().enumerate() {
        if accuracy > test_accuracy[best] {
            best = epoch;
        }
    }
    Ok(ProbeResult {
        accuracy: test_accuracy[config.epochs - 1],
        best_accuracy: test_accuracy[best],
        best_epoch: best + 1,
        correct: correct(&predictions, test.labels()).collect(),
        predictions,
        train_loss,
        test_accuracy,
    })
}

fn check_sets(train: &Features, test: &Features) -> Result<(), EvalError> {
    if train.dims() != test.dims() {
        return Err(EvalError::DimensionMismatch {
            train: train.dims(),
            test: test.dims(),
        });
    }
    if train.classes() != test.classes() {
        return Err(EvalError::ClassMismatch {
            train: train.classes(),
            test: test.classes(),
        });
    }
    let mut seen = vec![false; train.classes()];
    for &label in train.labels() {
        seen[label as usize] = true;
    }
    // A class without any image, as of an empty folder, is merely never right.
    match test.labels().iter().find(|&&label| !seen[label as usize]) {
        Some(&class) => Err(EvalError::MissingClass {
            class: class as usize,
            classes: train.classes(),
        }),
        None => Ok(()),
    }
}

/// A training set on the device.
struct Labelled {
    /// `[n, d]`
    values: Tensor<2>,
    /// `[n, 1]`
    labels: Tensor<2, Int>,
}

impl Labelled {
    fn new(features: &Features, device: &Device) -> Self {
        let labels: Vec<i32> = features.labels().iter().map(|&y| y as i32).collect();
        Self {
            values: features.tensor(device),
            labels: Tensor::from_data(TensorData::new(labels, [features.len(), 1]), device),
        }
    }
}

/// One pass over the images in the given order; returns the mean loss.
fn train_epoch(
    classifier: &mut Classifier,
    data: &Labelled,
    order: &[i32],
    epoch: usize,
    config: &LinearProbeConfig,
) -> f64 {
    let n = order.len();
    let device = data.values.device();
    let order = Tensor::<1, Int>::from_data(TensorData::new(order.to_vec(), [n]), &device);
    let learning_rate = config.learning_rate_at(epoch);
    let mut total = Tensor::<1>::zeros([1], &device);
    for start in (0..n).step_by(config.batch_size) {
        let end = n.min(start + config.batch_size);
        let batch = order.clone().slice(start..end);
        let values = data.values.clone().select(0, batch.clone());
        let labels = data.labels.clone().select(0, batch);
        // The sum stays on the device: one read an epoch, not one a step.
        total = total + classifier.step(values, labels, learning_rate, config);
    }
    // Losses are measured before each step: weights broken by the last one show up as 0 * inf.
    let total = total + classifier.weight.clone().sum() * 0.0;
    total.into_scalar::<f64>() / n as f64
}

/// The class of highest score of each row.
fn predict(classifier: &Classifier, values: &Tensor<2>) -> Vec<u32> {
    let [n, _] = values.dims();
    let mut predictions = Vec::with_capacity(n);
    for start in (0..n).step_by(SCORED_ROWS) {
        let rows = values.clone().slice(start..n.min(start + SCORED_ROWS));
        let classes = classifier.forward(rows).argmax(1).into_data();
        predictions.extend(classes.iter::<i64>().map(|class| class as u32));
    }
    predictions
}

fn correct<'a>(predictions: &'a [u32], labels: &'a [u32]) -> impl Iterator<Item = bool> + 'a {
    predictions.iter().zip(labels).map(|(p, y)| p == y)
}

fn accuracy(predictions: &[u32], labels: &[u32]) -> f64 {
    let hits = correct(predictions, labels).filter(|&hit| hit).count();
    hits as f64 / labels.len() as f64
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod tests;
