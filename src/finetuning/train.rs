use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use e2mc_data::source::{ImageSource, Subset};
use e2mc_data::{FailedRead, Loader, Recipe};
use e2mc_resnet::ResNet;
use serde::{Deserialize, Serialize};
use ssl_methods::leaves_single_image;
use ssl_methods::optim::SgdConfig;

use super::FinetuneSettings;
use super::network::Network;
use crate::{Error, Event, Observer, Result};

/// Results of one fine-tuning by epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinetuneCurves {
    /// The epochs after which the backbone was tested, counted from 1.
    pub tested_epochs: Vec<usize>,
    /// Top-1 accuracy on the test images in percent after each of these epochs.
    pub top1: Vec<f64>,
    /// Top-5 accuracy on the test images in percent after each of these epochs.
    pub top5: Vec<f64>,
    /// Mean training loss (cross-entropy, nats) of each epoch, measured before each step.
    pub train_loss: Vec<f64>,
    /// The first tested epoch with the best top-1 accuracy, counted from 1.
    pub best_epoch: usize,
}

impl FinetuneCurves {
    /// The best top-1 accuracy in percent.
    pub(super) fn best_top1(&self) -> f64 {
        self.top1.iter().copied().fold(0.0, f64::max)
    }
}

/// One fine-tuning, as stored in its folder.
#[derive(Serialize, Deserialize)]
pub(super) struct FinetuneDraw {
    pub(super) curves: FinetuneCurves,
    /// Label of each test image.
    pub(super) labels: Vec<u32>,
    /// Predicted class of each test image after the last epoch.
    pub(super) predictions: Vec<u32>,
}

/// The context of a fine-tuning.
pub(super) struct Surroundings<'a> {
    pub(super) device: &'a Device,
    pub(super) observer: &'a dyn Observer,
    /// The task's name for the progress.
    pub(super) task: &'a str,
    /// The folder named by the error if the observer stops the run.
    pub(super) folder: &'a Path,
    pub(super) failure_limit: f64,
    pub(super) seed: u64,
}

/// Trains a backbone with a classifier on the images `chosen` of `train` (all if none), and tests
/// it after the epochs of the settings.
///
/// Batch normalization uses batch statistics in training and running statistics in testing, as in
/// the published fine-tuning.
pub(super) fn finetune(
    backbone: ResNet,
    train: Arc<dyn ImageSource>,
    chosen: Option<Vec<usize>>,
    test: &Loader,
    recipe: &Recipe,
    settings: &FinetuneSettings,
    around: &Surroundings,
) -> Result<FinetuneDraw> {
    let classes = train.classes().len();
    let train: Arc<dyn ImageSource> = match chosen {
        Some(chosen) => Arc::new(Subset::new(train, chosen)),
        None => train,
    };
    let n = train.len();
    if n < 2 {
        return Err(Error::NotProbed {
            problem: format!("{n} labeled image is too few for fine-tuning, at least 2 are needed"),
        });
    }
    let batch_size = settings.batch_size.min(n);
    let labels = train.labels().expect("fine-tuning images have labels");
    let loader = Loader::new(train.clone(), recipe.clone(), batch_size, around.seed)?
        .with_drop_last(leaves_single_image(n, batch_size))
        .with_workers(available_parallelism().map_or(1, usize::from))
        .with_failure_limit(around.failure_limit)?;

    let training_device = around.device.clone().autodiff();
    let mut network = Network::new(backbone, classes, around.seed, &training_device)?;
    let optimizer = SgdConfig::new()
        .with_momentum(settings.momentum)
        .with_weight_decay(settings.weight_decay);
    optimizer.validate()?;
    let mut optimizer = optimizer.init();
    let mut found = FinetuneDraw {
        curves: FinetuneCurves {
            tested_epochs: Vec::new(),
            top1: Vec::new(),
            top5: Vec::new(),
            train_loss: Vec::new(),
            best_epoch: 0,
        },
        labels: Vec::new(),
        predictions: Vec::new(),
    };
    let tests = |epochs: usize| {
        (0..epochs)
            .filter(|&epoch| settings.tests_after(epoch))
            .count()
    };
    // Training images and test images together.
    let before = |epoch: usize| epoch * n + tests(epoch) * test.source().len();
    let total_images = before(settings.epochs);
    for epoch in 0..settings.epochs {
        let mut rates = network.rates(settings, epoch)?;
        let mut total = Tensor::<1>::zeros([1], around.device);
        let (mut seen, mut done) = (0, before(epoch));
        for batch in loader.epoch(epoch, &training_device) {
            let mut batch = batch?;
            around.failed(&batch.failures);
            let of_batch: Vec<u32> = batch.indices.iter().map(|&image| labels[image]).collect();
            let images = batch.views.remove(0);
            let loss;
            (network, loss) = network.step(images, &of_batch, &mut rates, &mut optimizer);
            total = total + loss.inner();
            seen += of_batch.len();
            done += of_batch.len();
            around.advance(done, total_images)?;
        }
        let loss = total.into_scalar::<f64>() / seen as f64;
        if !loss.is_finite() {
            return Err(Error::FinetuneDiverged { epoch: epoch + 1 });
        }
        found.curves.train_loss.push(loss);
        if !settings.tests_after(epoch) {
            continue;
        }
        let best = found.curves.best_top1();
        evaluate(&network.valid(), test, &mut found, around, |tested| {
            around.advance(before(epoch) + n + tested, total_images)
        })?;
        let curves = &mut found.curves;
        curves.tested_epochs.push(epoch + 1);
        if curves.best_epoch == 0 || curves.best_top1() > best {
            curves.best_epoch = epoch + 1;
        }
    }
    Ok(found)
}

/// Tests the network on the test images.
fn evaluate(
    network: &Network,
    test: &Loader,
    found: &mut FinetuneDraw,
    around: &Surroundings,
    mut progress: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let of_source = test.source().labels().expect("test images have labels");
    let (mut top1, mut top5) = (0, 0);
    found.labels.clear();
    found.predictions.clear();
    for batch in test.epoch(0, around.device) {
        let mut batch = batch?;
        around.failed(&batch.failures);
        let labels: Vec<u32> = batch.indices.iter().map(|&i| of_source[i]).collect();
        let (classes, among_five) = network.classify(batch.views.remove(0), &labels);
        top1 += classes.iter().zip(&labels).filter(|(c, y)| c == y).count();
        top5 += among_five.iter().filter(|&&among| among).count();
        found.labels.extend(labels);
        found.predictions.extend(classes);
        progress(found.labels.len())?;
    }
    let n = found.labels.len();
    let percent = |count: usize| 100.0 * count as f64 / n as f64;
    found.curves.top1.push(percent(top1));
    found.curves.top5.push(percent(top5));
    Ok(())
}

impl Surroundings<'_> {
    fn failed(&self, images: &[FailedRead]) {
        for image in images {
            self.observer.event(&Event::FailedImage(image));
        }
    }

    fn advance(&self, done: usize, total: usize) -> Result<()> {
        let task = self.task;
        self.observer.event(&Event::Progress { task, done, total });
        match self.observer.stop_requested() {
            true => Err(Error::Stopped {
                folder: self.folder.to_path_buf(),
            }),
            false => Ok(()),
        }
    }
}
