use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use e2mc::plan::Labels;
use e2mc::{
    FeatureSource, FinetuneDecay, FinetunePlan, FinetuneSettings, FinetuneTask, Observer, Preset,
    Result, finetune_table, free_run_folder, run_finetuning,
};

use crate::checkpoint_options::ReadingOptions;
use crate::image_options::ImageOptions;
use crate::tables;
use crate::terminal::Terminal;
use crate::train_options::set;

/// Each finished draw is kept in the output folder. To resume a stopped command, repeat it with
/// `--output` and that folder.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint with a ResNet, of any layout
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// Labels: amounts such as 1%,5/class,100%, or list:FILE for the images named in a text file,
    /// one per line, such as the published 1% and 10% of ImageNet
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "1%,10%"
    )]
    labels: Vec<Labels>,
    /// Draws of the labeled images, of their order and of the classifier's initial weights
    #[arg(long, value_name = "N", default_value_t = 3)]
    label_draws: usize,
    /// Settings by a preset's name: vicreg-1000, swav-800, ... [default: from the checkpoint]
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Learning rate of the backbone [default: the preset's for the nearest of 1% and 10%]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    backbone_rate: Option<f64>,
    /// Learning rate of the classifier [default: the preset's, in the same way]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    head_rate: Option<f64>,
    /// Learning-rate decay: cosine, or EPOCHS:FACTOR such as 12,16:0.2 [default: the preset's]
    #[arg(long, value_name = "HOW", value_parser = decay)]
    decay: Option<FinetuneDecay>,
    /// Passes over the labeled images [default: 20]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Epochs from one test to the next; the last epoch is always tested [default: 1]
    #[arg(long, value_name = "N")]
    test_every: Option<usize>,
    /// Images per step [default: 256]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// L2 penalty [default: 0]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    weight_decay: Option<f64>,
    /// Seed of all random draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    images: ImageOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let plan = arguments.plan()?;
    let images = &arguments.images;
    let output = images.output.clone();
    let output = output.unwrap_or_else(|| free_run_folder(Path::new("runs/finetune")));
    let terminal = Arc::new(Terminal::new());
    terminal.stop_on_signals();
    let observer: Arc<dyn Observer> = terminal.clone();
    let found = run_finetuning(&plan, &output, &observer);
    terminal.finish();
    let found = found?;
    match images.json {
        true => tables::print(&tables::json(&found)),
        false => tables::print(&tables::draw(&finetune_table(&found))),
    }
    eprintln!("results: {}", output.display());
    Ok(())
}

impl Arguments {
    fn plan(&self) -> Result<FinetunePlan> {
        let checkpoint = self.reading.start(self.checkpoint.clone());
        let images = self.images.plan(&FeatureSource::from(checkpoint.clone()))?;
        let preset = self.preset.unwrap_or(images.preset);
        let tasks = self.labels.iter().map(|labels| {
            let mut settings = FinetuneSettings::of(preset, labels.nearest_published()?);
            let FinetuneSettings {
                backbone_rate,
                head_rate,
                decay,
                epochs,
                test_every,
                batch_size,
                weight_decay,
                ..
            } = &mut settings;
            set(backbone_rate, self.backbone_rate);
            set(head_rate, self.head_rate);
            set(decay, self.decay.clone());
            set(epochs, self.epochs);
            set(test_every, self.test_every);
            set(batch_size, self.batch_size);
            set(weight_decay, self.weight_decay);
            Ok(FinetuneTask {
                labels: labels.clone(),
                draws: self.label_draws,
                settings,
            })
        });
        Ok(FinetunePlan {
            checkpoint,
            recipe: images.training_recipe(),
            tasks: tasks.collect::<Result<_>>()?,
            images,
            seed: self.seed,
        })
    }
}

fn decay(text: &str) -> Result<FinetuneDecay, String> {
    if text == "cosine" {
        return Ok(FinetuneDecay::Cosine);
    }
    let steps = text.split_once(':').and_then(|(epochs, factor)| {
        let epochs = epochs.split(',').map(str::parse).collect::<Result<_, _>>();
        Some(FinetuneDecay::Steps {
            epochs: epochs.ok()?,
            factor: factor.parse().ok()?,
        })
    });
    steps.ok_or_else(|| "expected cosine, or EPOCHS:FACTOR such as 12,16:0.2".into())
}
