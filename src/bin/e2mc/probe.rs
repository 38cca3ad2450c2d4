use clap::Args;
use e2mc::{Error, Evaluation, EvaluationPlan, FeatureSource, Preset, accuracy_table, evaluate};

use crate::image_options::ImageOptions;
use crate::labels::LabelOptions;
use crate::source_options::SourceOptions;
use crate::tables;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    evaluation: EvaluationOptions,
}

/// What is probed, and how.
#[derive(Args)]
#[command(next_help_heading = "Probes")]
pub(crate) struct EvaluationOptions {
    #[command(flatten)]
    labels: LabelOptions,
    /// Settings of the probes by a preset's name [default: from the checkpoint; swav-800 for
    /// features]
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Train on N random crops of each image, mirrored or not, in turn (published: fresh ones each
    /// epoch); takes N times the memory for features [default: the center crop in every epoch]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    crops: usize,
    /// Seed of the label draws and the probes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) images: ImageOptions,
}

impl EvaluationOptions {
    /// The plan for these backbones, whose first decides the settings.
    pub(crate) fn plan(
        &self,
        backbones: Vec<(String, FeatureSource)>,
    ) -> Result<EvaluationPlan, Error> {
        let (_, first) = backbones.first().expect("there is one at least");
        let images = self.images.plan(first)?;
        let preset = self.preset.unwrap_or(images.preset);
        let mut probes = preset.probes();
        self.labels.apply(&mut probes, preset)?;
        Ok(EvaluationPlan {
            backbones,
            images,
            probes,
            crops: self.crops,
            seed: self.seed,
        })
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let options = &arguments.evaluation;
    let plan = options.plan(vec![("backbone".into(), arguments.source.source())])?;
    let images = &options.images;
    let evaluation =
        images.watched(|observer| evaluate(&plan, images.output.as_deref(), observer))?;
    match images.json {
        true => tables::print(&tables::json(&evaluation)),
        false => tables::print(&tables::draw(&accuracies(&evaluation))),
    }
    Ok(())
}

pub(crate) fn accuracies(evaluation: &Evaluation) -> e2mc::Table {
    let backbones = evaluation.backbones.iter();
    accuracy_table(backbones.map(|(name, probes)| (&**name, &**probes)))
}
