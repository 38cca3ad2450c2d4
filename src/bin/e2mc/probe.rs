use clap::Args;
use e2mc::plan::Crops;
use e2mc::{Evaluation, EvaluationPlan, FeatureSource, Result, accuracy_table, evaluate};

use crate::image_options::ImageOptions;
use crate::labels::LabelOptions;
use crate::probe_kind::ProbePreset;
use crate::source_options::SourceOptions;
use crate::tables;
use crate::train_options::name_and_value;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    evaluation: EvaluationOptions,
}

/// Options of the probes.
#[derive(Args)]
#[command(next_help_heading = "Probes")]
pub(crate) struct EvaluationOptions {
    #[command(flatten)]
    labels: LabelOptions,
    /// Settings of the probes by a preset's name, such as vicreg-1000 or swav-800. Or inat: the
    /// iNaturalist probe of the last feature map, with 100% of the labels unless --labels is given
    /// [default: from the checkpoint; swav-800 for features]
    #[arg(long, value_name = "NAME")]
    preset: Option<ProbePreset>,
    /// Change a setting of the probes, such as learning_rate=0.1 or epochs=20. A wrong name prints
    /// all of them
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// View of a training image. center: the center crop. N: N random crops in turn, with random
    /// flips, and N times the memory for features. fresh: a new random crop in each epoch, as
    /// published, which computes the features again in each epoch
    #[arg(long, value_name = "center|N|fresh", default_value = "center")]
    crops: Crops,
    /// Seed of the label draws and the probes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) images: ImageOptions,
}

impl EvaluationOptions {
    /// The plan for these backbones. The first one decides the settings.
    pub(crate) fn plan(&self, backbones: Vec<(String, FeatureSource)>) -> Result<EvaluationPlan> {
        let (_, first) = backbones.first().expect("there is one at least");
        let images = self.images.plan(first)?;
        let preset = self.preset.unwrap_or(ProbePreset::Method(images.preset));
        let mut probes = preset.probes(&self.labels)?;
        for setting in &self.set {
            let (name, value) = name_and_value(setting)?;
            probes = probes.with_setting(name, value)?;
        }
        Ok(EvaluationPlan {
            backbones,
            images,
            probes,
            crops: self.crops,
            seed: self.seed,
        })
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
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
