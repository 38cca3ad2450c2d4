//! Semi-supervised fine-tuning: a backbone with a linear classifier, trained together on few
//! labels.

mod folder;
mod network;
mod settings;
mod train;

use std::path::Path;
use std::sync::Arc;

use e2mc_data::{Recipe, derived_seed};
use e2mc_eval::statistics::Summary;
use serde::Serialize;
use ssl_methods::optim::SgdConfig;

pub use settings::{FinetuneDecay, FinetuneSettings};
pub use train::FinetuneCurves;

use crate::files::write_json;
use crate::plan::{CheckpointStart, Labels};
use crate::probing::{LabeledImages, check_channels, evaluation_loader};
use crate::run::{file_digest, list_digests};
use crate::study::check_training;
use crate::{
    Error, Event, HostMemory, ImagePlan, Observer, PredictedProbe, Predictions, Result,
    parse_device,
};
use folder::FinetuneFolder;
use train::{FinetuneDraw, Surroundings, finetune};

/// A fine-tuning of a backbone with several amounts of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinetunePlan {
    /// The backbone.
    pub checkpoint: CheckpointStart,
    /// The images. `evaluation` applies to test images.
    pub images: ImagePlan,
    /// From a training image to its view.
    pub recipe: Recipe,
    /// The fine-tunings, one per amount of labels.
    pub tasks: Vec<FinetuneTask>,
    /// Decides the drawn labels, the order, the crops and the classifier's initial weights.
    pub seed: u64,
}

/// The fine-tunings with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinetuneTask {
    /// Which of the training labels are used.
    pub labels: Labels,
    /// Draws of the labeled images, at least 1. With all labels or a list, draws differ only in
    /// order, crops and initial weights.
    pub draws: usize,
    /// The settings.
    pub settings: FinetuneSettings,
}

/// The result of [`run_finetuning`], written as `results.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinetuneResults {
    /// One for each amount of labels.
    pub rows: Vec<FinetuneRow>,
}

/// The fine-tunings with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinetuneRow {
    /// Which of the training labels were used.
    pub labels: Labels,
    /// The settings.
    pub settings: FinetuneSettings,
    /// Top-1 accuracy after the last epoch in percent, over the draws.
    pub top1: Summary,
    /// Standard error of the mean top-1 accuracy; none for one draw.
    pub standard_error: Option<f64>,
    /// Top-1 accuracy of the best epoch: the paper's protocol, which is slightly optimistic for
    /// every backbone.
    pub best_top1: Summary,
    /// Top-5 accuracy after the last epoch.
    pub top5: Summary,
    /// Loss of each epoch and accuracies of each test, per draw.
    pub draws: Vec<FinetuneCurves>,
}

/// Fine-tunes a backbone for every amount of labels and draw. Each finished draw is kept in the
/// folder `output`. If the folder contains an unfinished fine-tuning of the same plan, its draws
/// are reused. At the end, the folder has `predictions-finetuned.csv` and `results.json`.
///
/// # Errors
///
/// If a setting is out of range, a file cannot be used, memory is too small, a loss is not finite,
/// or the folder contains something else. [`Error::Stopped`] if the observer requests it.
pub fn run_finetuning(
    plan: &FinetunePlan,
    output: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<FinetuneResults> {
    plan.validate()?;
    let device = parse_device(&plan.images.device)?;
    let backbone = plan
        .images
        .backbone("backbone", &plan.checkpoint, &**observer)?;
    check_channels(&backbone, plan.recipe.channels())?;
    let size = plan.recipe.view_sizes()[0];
    if let ("flex", Some(memory)) = (&*plan.images.device, HostMemory::now()) {
        let batch = plan.tasks.iter().map(|task| task.settings.batch_size);
        check_training(&backbone, size, batch.max().unwrap_or(0), memory)?;
    }
    drop(backbone);
    let [train, test] = plan.images.open(observer)?;
    let limit = plan.images.failure_limit;
    let test = evaluation_loader(test, &plan.images.evaluation, limit)?;
    let names: Vec<String> = (0..train.len()).map(|i| train.image_name(i)).collect();
    let labeled = LabeledImages {
        place: train.name(),
        names: &names,
        labels: train.labels().expect("opened with labels"),
        classes: train.classes(),
        rows: None,
    };
    // Impossible draws are detected before the first training.
    for task in &plan.tasks {
        labeled.choose(&task.labels, plan.seed)?;
    }
    let kept = serde_json::json!({
        "plan": plan,
        "checkpoint": file_digest(&plan.checkpoint.path)?,
        "lists": list_digests(plan.tasks.iter().map(|task| &task.labels))?,
        "train": train.fingerprint(),
        "test": test.source().fingerprint(),
    });
    let folder = FinetuneFolder::open(output, &kept)?;

    let (mut rows, mut probes, mut test_labels) = (Vec::new(), Vec::new(), Vec::new());
    for (at, task) in plan.tasks.iter().enumerate() {
        let mut draws = Vec::new();
        for draw in 0..task.draws {
            let seed = derived_seed(plan.seed, draw as u64);
            draws.push(folder.draw(at, draw, || {
                let title = task.labels.title();
                let around = Surroundings {
                    device: &device,
                    observer: &**observer,
                    task: &format!("fine-tuning, {title}, {}/{}", draw + 1, task.draws),
                    folder: folder.root(),
                    failure_limit: limit,
                    seed,
                };
                let chosen = labeled.choose(&task.labels, seed)?;
                let backbone = plan.trainable_backbone()?;
                let (recipe, settings) = (&plan.recipe, &task.settings);
                finetune(
                    backbone,
                    train.clone(),
                    chosen,
                    &test,
                    recipe,
                    settings,
                    &around,
                )
            })?);
        }
        probes.push(PredictedProbe {
            name: format!("{}, fine-tuned", task.labels.title()),
            draws: draws.iter().map(|draw| draw.predictions.clone()).collect(),
        });
        if let Some(draw) = draws.first() {
            test_labels.clone_from(&draw.labels);
        }
        let row = FinetuneRow::new(task, draws)?;
        observer.event(&Event::Decision(&format!(
            "fine-tuned with {} of the labels: top-1 {}%",
            row.labels.title(),
            row.top1
        )));
        rows.push(row);
    }
    let source = test.source();
    let predictions = Predictions {
        images: (0..source.len()).map(|i| source.image_name(i)).collect(),
        labels: test_labels,
        probes,
    };
    predictions.write(&folder.path("predictions-finetuned.csv"))?;
    let results = FinetuneResults { rows };
    write_json(&folder.path("results.json"), &results)?;
    Ok(results)
}

impl FinetunePlan {
    fn validate(&self) -> Result<()> {
        self.recipe.validate()?;
        if self.recipe.view_sizes().len() != 1 {
            let views = self.recipe.view_sizes().len();
            return Err(Error::invalid("recipe", format!("of {views} views"), "one"));
        }
        for task in &self.tasks {
            if task.draws == 0 {
                return Err(Error::invalid("label_draws", 0, "at least 1"));
            }
            task.settings.validate()?;
            let settings = &task.settings;
            let optimizer = SgdConfig::new().with_momentum(settings.momentum);
            optimizer
                .with_weight_decay(settings.weight_decay)
                .validate()?;
        }
        Ok(())
    }

    /// The backbone on a device for training. It is read from the file each time, since clones
    /// share the running statistics of batch normalization.
    fn trainable_backbone(&self) -> Result<e2mc_resnet::ResNet> {
        let device = parse_device(&self.images.device)?.autodiff();
        let checkpoint = crate::open_checkpoint(&self.checkpoint)?;
        crate::load_backbone(&checkpoint, &self.checkpoint, &device)
    }
}

impl FinetuneRow {
    fn new(task: &FinetuneTask, draws: Vec<FinetuneDraw>) -> Result<Self> {
        let draws: Vec<FinetuneCurves> = draws.into_iter().map(|draw| draw.curves).collect();
        let last = |curve: fn(&FinetuneCurves) -> &Vec<f64>| {
            let last = draws.iter().filter_map(|draw| curve(draw).last().copied());
            Summary::of(&last.collect::<Vec<_>>())
        };
        let top1 = last(|draw| &draw.top1)?;
        let best: Vec<f64> = draws.iter().map(FinetuneCurves::best_top1).collect();
        Ok(Self {
            labels: task.labels.clone(),
            settings: task.settings.clone(),
            standard_error: top1.std.map(|std| std / (top1.n as f64).sqrt()),
            best_top1: Summary::of(&best)?,
            top5: last(|draw| &draw.top5)?,
            top1,
            draws,
        })
    }
}
