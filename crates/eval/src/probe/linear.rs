use burn::tensor::{Device, Tensor};
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{LinearProbeConfig, TrainingFeatures, classifier::Classifier, rows::Rows};
use crate::accuracy::{accuracy, correct};
use crate::{EvalError, FeaturesPart, Result, Standardizer};

/// Rows scored at a time, to bound the memory of rows and scores `[classes, rows]`. Few enough that
/// the allocator reuses their memory.
const SCORED_ROWS: usize = 512;

/// Rows whose scores one thread compares at a time.
const ROWS_AT_ONCE: usize = 64;

/// Makes the order of the images independent of the initial weights at the same seed.
const ORDER_STREAM: u64 = 1;

/// The result of a linear probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Top-1 accuracy on the test images after the last epoch, in [0, 1].
    pub accuracy: f64,
    /// Best top-1 accuracy on the test images over all epochs: the paper's protocol. It is selected
    /// on the test images, so it is slightly optimistic for every model.
    pub best_accuracy: f64,
    /// The first epoch that reached [`best_accuracy`](Self::best_accuracy), counted from 1.
    pub best_epoch: usize,
    /// Predicted class of each test image after the last epoch.
    pub predictions: Vec<u32>,
    /// Whether the prediction is correct. Input of the paired statistics.
    pub correct: Vec<bool>,
    /// Mean training loss (cross-entropy, nats) of each epoch, measured before each step.
    pub train_loss: Vec<f64>,
    /// Top-1 accuracy on the test images after each epoch, in [0, 1].
    pub test_accuracy: Vec<f64>,
    /// Top-5 accuracy on the test images after each epoch, in [0, 1]: the share of images whose
    /// label is among the five classes with the highest scores. 1 with five classes or fewer.
    #[serde(default)]
    pub test_top5_accuracy: Vec<f64>,
}

impl ProbeResult {
    /// Top-5 accuracy after the last epoch; `None` in results of versions that did not measure it.
    pub fn top5_accuracy(&self) -> Option<f64> {
        self.test_top5_accuracy.last().copied()
    }

    /// Top-5 accuracy after the epoch of the best top-1 accuracy; `None` as above.
    pub fn best_top5_accuracy(&self) -> Option<f64> {
        self.test_top5_accuracy.get(self.best_epoch - 1).copied()
    }
}

/// Trains softmax regression on the training features and tests it on the test features. Each is a
/// whole `&Features` or a [`part`](crate::Features::part).
///
/// It runs minibatch SGD on cached features in f32 on the given device. Autodiff on the device is
/// ignored, since the gradient has a closed form. Initial weights and order are drawn on the host:
/// on one device, the same seed gives the same result to the last bit.
///
/// With a single class, the accuracy is 1 and the loss 0.
///
/// Features of up to 128 MiB are sent once to a device with memory of its own. Larger features stay
/// in host memory, and each minibatch is gathered and sent, so a probe takes little extra memory.
///
/// # Errors
///
/// [`EvalError::InvalidOption`] for a setting out of range, [`EvalError::DimensionMismatch`] and
/// [`EvalError::ClassMismatch`] if the dimensions or classes of the two sets differ,
/// [`EvalError::MissingClass`] if a class of the test images has no training image, and
/// [`EvalError::Diverged`] if the training loss becomes NaN or infinite.
pub fn linear_probe<'a, 'b>(
    train: impl Into<FeaturesPart<'a>>,
    test: impl Into<FeaturesPart<'b>>,
    config: &LinearProbeConfig,
    device: &Device,
) -> Result<ProbeResult> {
    linear_probe_per_epoch(&mut train.into(), test, config, device)
}

/// [`linear_probe`] on training features that may differ between epochs. This is the paper's
/// protocol: random crops and flips of the training images in each epoch.
///
/// Standardization is measured on the features of epoch 0. The features of every epoch are sent to
/// the device as in [`linear_probe`].
///
/// # Errors
///
/// The errors of `train` and of [`linear_probe`], and [`EvalError::OtherImages`] if the number or
/// labels of an epoch's images differ from the first epoch.
pub fn linear_probe_per_epoch<'b, S: TrainingFeatures>(
    train: &mut S,
    test: impl Into<FeaturesPart<'b>>,
    config: &LinearProbeConfig,
    device: &Device,
) -> Result<ProbeResult, S::Error> {
    let training = Training {
        config,
        learning_rate_at: &|epoch| config.learning_rate_at(epoch),
        channels: None,
    };
    train_and_test(train, test.into(), &training, device)
}

/// How a probe is trained.
pub(super) struct Training<'a> {
    pub config: &'a LinearProbeConfig,
    /// Learning rate of an epoch, instead of the config's.
    pub learning_rate_at: &'a dyn Fn(usize) -> f64,
    /// Channels of the batch normalization before the classifier, if any.
    pub channels: Option<usize>,
}

/// [`linear_probe_per_epoch`] with any schedule, with or without batch normalization.
pub(super) fn train_and_test<S: TrainingFeatures>(
    train: &mut S,
    test: FeaturesPart<'_>,
    training: &Training<'_>,
    device: &Device,
) -> Result<ProbeResult, S::Error> {
    let config = training.config;
    config.validate()?;
    let device = device.clone().inner();
    let first = train.epoch(0)?;
    check_sets(&first, &test)?;
    let labels: Vec<u32> = first.labels().collect();

    let standardizer = config.standardize.then(|| Standardizer::fit(first));
    let standardizer = standardizer.as_ref();
    let testing = Rows::new(test, standardizer, &device);

    let mut classifier = Classifier::random(test.dims(), test.classes(), config.seed, &device);
    if let Some(channels) = training.channels {
        classifier = classifier.with_norm(channels);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(ORDER_STREAM);
    let mut order: Vec<usize> = (0..labels.len()).collect();

    let mut train_loss = Vec::with_capacity(config.epochs);
    let mut test_accuracy = Vec::with_capacity(config.epochs);
    let mut test_top5_accuracy = Vec::with_capacity(config.epochs);
    let (mut predictions, mut hits) = (Vec::new(), Vec::new());
    for epoch in 0..config.epochs {
        let features = train.epoch(epoch)?;
        check_epoch(&labels, &features, &test, epoch)?;
        let rows = Rows::new(features, standardizer, &device);
        order.shuffle(&mut rng);
        let learning_rate = (training.learning_rate_at)(epoch);
        let loss = train_epoch(&mut classifier, &rows, &order, learning_rate, config);
        if !loss.is_finite() {
            return Err(S::Error::from(EvalError::Diverged {
                epoch: epoch + 1,
                learning_rate: config.learning_rate,
            }));
        }
        train_loss.push(loss);
        let among_five;
        (predictions, among_five) = predict(&mut classifier, &testing);
        hits = correct(&predictions, &test);
        test_accuracy.push(accuracy(&hits));
        test_top5_accuracy.push(accuracy(&among_five));
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
        correct: hits,
        predictions,
        train_loss,
        test_accuracy,
        test_top5_accuracy,
    })
}

/// Checks that an epoch has the same images as the first.
fn check_epoch(
    labels: &[u32],
    features: &FeaturesPart<'_>,
    test: &FeaturesPart<'_>,
    epoch: usize,
) -> Result<()> {
    features.check_same_space(test)?;
    if features.labels().eq(labels.iter().copied()) {
        return Ok(());
    }
    let problem = format!("the labels of epoch {epoch} are not those of epoch 0");
    Err(EvalError::OtherImages { problem })
}

fn check_sets(train: &FeaturesPart<'_>, test: &FeaturesPart<'_>) -> Result<()> {
    train.check_same_space(test)?;
    let mut seen = vec![false; train.classes()];
    for label in train.labels() {
        seen[label as usize] = true;
    }
    // A class without any image, such as an empty folder, is allowed.
    match test.labels().find(|&label| !seen[label as usize]) {
        Some(class) => Err(EvalError::MissingClass {
            class: class as usize,
            classes: train.classes(),
        }),
        None => Ok(()),
    }
}

/// One pass over the images in the given order; returns the mean loss.
fn train_epoch(
    classifier: &mut Classifier,
    data: &Rows<'_>,
    order: &[usize],
    learning_rate: f64,
    config: &LinearProbeConfig,
) -> f64 {
    let mut total = Tensor::<1>::zeros([1], &classifier.weight.value.device());
    for batch in order.chunks(config.batch_size) {
        let (values, labels) = data.batch(batch);
        // The sum stays on the device: one read per epoch instead of one per step.
        total = total + classifier.step(values, &labels, learning_rate, config);
    }
    // Losses are measured before each step. So weights that the last step made infinite are
    // detected as 0 * inf.
    let total = total + classifier.weight.value.clone().sum() * 0.0;
    total.into_scalar::<f64>() / order.len() as f64
}

/// The class with the highest score of each row, the first of several, and whether fewer than five
/// classes score higher than the row's label.
fn predict(classifier: &mut Classifier, data: &Rows<'_>) -> (Vec<u32>, Vec<bool>) {
    let n = data.len();
    let (mut predictions, mut among_five) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for start in (0..n).step_by(SCORED_ROWS) {
        let rows = start..n.min(start + SCORED_ROWS);
        let scores = classifier.forward(data.block(rows.clone()));
        // On the host: a few passes of tensor operations take longer than one transfer.
        let scores = scores.into_data();
        let scores = scores.as_slice::<f32>().expect("probes compute in f32");
        let columns = rows.len();
        let labels: Vec<usize> = rows.map(|row| data.label(row)).collect();
        let results: Vec<_> = labels
            .par_chunks(ROWS_AT_ONCE)
            .enumerate()
            .map(|(chunk, labels)| {
                let first = chunk * ROWS_AT_ONCE;
                let row = |class: usize| &scores[class * columns + first..][..labels.len()];
                let of_label: Vec<f32> = (labels.iter().enumerate())
                    .map(|(image, &label)| row(label)[image])
                    .collect();
                let mut best = row(0).to_vec();
                let mut results = vec![(0u32, 0u32); labels.len()];
                for class in 0..classifier.classes() {
                    let images = row(class).iter().zip(&of_label).zip(&mut best);
                    for (((score, of_label), best), results) in images.zip(&mut results) {
                        results.1 += u32::from(score > of_label);
                        if score > best {
                            (*best, results.0) = (*score, class as u32);
                        }
                    }
                }
                results
            })
            .collect();
        let results = results.iter().flatten();
        predictions.extend(results.clone().map(|&(class, _)| class));
        among_five.extend(results.map(|&(_, higher)| higher < 5));
    }
    (predictions, among_five)
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod tests;
