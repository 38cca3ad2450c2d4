use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use e2mc::plan::CheckpointStart;
use e2mc::{Error, Evaluation, EvaluationPlan, Observer, accuracy_table, evaluate};

use crate::checkpoint_options::ReadingOptions;
use crate::labels::LabelOptions;
use crate::tables;
use crate::terminal::Terminal;
use crate::train_options::first_image;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint with a ResNet, of any layout
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    evaluation: EvaluationOptions,
}

/// What is probed, and how.
#[derive(Args)]
#[command(next_help_heading = "Probes")]
pub(crate) struct EvaluationOptions {
    /// Labeled images: a folder train and one val, or a folder for each class, of which a fifth is
    /// kept for the test [default: the embedded images of Fashion-MNIST]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    labels: LabelOptions,
    /// Size of the images in pixels [default: 224, or that of the first image for small networks]
    #[arg(long, value_name = "PIXELS")]
    crop_size: Option<usize>,
    /// Share of the images that may be unreadable
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    failure_limit: Option<f64>,
    /// Seed of the label draws and the probes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to compute
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: String,
    /// Folder for predictions-NAME.csv and results.json [default: nothing is written]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Print the results as JSON in place of tables
    #[arg(long)]
    pub(crate) json: bool,
}

impl EvaluationOptions {
    /// Probes the backbones, whose first decides the settings.
    pub(crate) fn run(
        &self,
        backbones: Vec<(String, CheckpointStart)>,
    ) -> Result<Evaluation, Error> {
        let (_, first) = backbones.first().expect("there is one at least");
        let mut plan = EvaluationPlan::like(first)?;
        if let Some(folder) = &self.data {
            plan = plan.for_images(first_image(folder)?);
        }
        if let Some(size) = self.crop_size {
            plan.evaluation = plan.evaluation.with_size(size);
        }
        self.labels.apply(&mut plan.probes, plan.preset);
        plan.data.clone_from(&self.data);
        plan.failure_limit = self.failure_limit.unwrap_or(plan.failure_limit);
        plan.seed = self.seed;
        plan.device.clone_from(&self.device);
        plan.backbones = backbones;
        let terminal = Arc::new(Terminal::new());
        let observer: Arc<dyn Observer> = terminal.clone();
        let result = evaluate(&plan, self.output.as_deref(), &observer);
        terminal.finish();
        result
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let start = arguments.reading.start(arguments.checkpoint);
    let options = &arguments.evaluation;
    let evaluation = options.run(vec![("backbone".into(), start)])?;
    match options.json {
        true => tables::print(&tables::json(&evaluation)),
        false => tables::print(&tables::draw(&accuracies(&evaluation))),
    }
    Ok(())
}

pub(crate) fn accuracies(evaluation: &Evaluation) -> e2mc::Table {
    let backbones = evaluation.backbones.iter();
    accuracy_table(backbones.map(|(name, probes)| (&**name, &**probes)))
}
