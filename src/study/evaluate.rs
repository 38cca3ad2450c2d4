use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2mc_data::Recipe;
use e2mc_resnet::{Stem, infer_resnet_config};
use serde::Serialize;

use super::backbone::{load_backbone, open_checkpoint, stem_decision};
use super::data;
use crate::files::{create_dir, write_json};
use crate::plan::{CheckpointStart, ProbePlan, small_recipe};
use crate::probing::{
    Extraction, LabeledBackbone, compare, evaluation_loader, extract, probe_all, write_predictions,
};
use crate::{Comparison, Error, Event, LabelProbes, Observer, Preset, parse_device};

/// Backbones to be probed on the same images, without any training.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPlan {
    /// The backbones, each with its name; those after the first are compared with the first.
    pub backbones: Vec<(String, CheckpointStart)>,
    /// Folder of the images; none: the embedded ones.
    pub data: Option<PathBuf>,
    /// From an image to the one view that probes see.
    pub evaluation: Recipe,
    /// The linear probes.
    pub probes: Vec<ProbePlan>,
    /// Where the probes' settings come from.
    pub preset: Preset,
    /// The share of the images that may be unreadable, 0 to 1.
    pub failure_limit: f64,
    /// Decides which labels are drawn, and the probes' first weights.
    pub seed: u64,
    /// Name of the device.
    pub device: String,
}

/// What [`evaluate`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The probes of each backbone, under its name.
    pub backbones: Vec<(String, Vec<LabelProbes>)>,
    /// Every later backbone against the first.
    pub comparisons: Vec<Comparison>,
}

impl EvaluationPlan {
    /// Settings for backbones like that of `first`: those of its method's preset, or SwAV's where
    /// the file holds a backbone alone; for small images if its stem is for them.
    ///
    /// # Errors
    /// If the file cannot be read or holds no ResNet.
    pub fn like(first: &CheckpointStart) -> Result<Self, Error> {
        let checkpoint = open_checkpoint(first)?;
        let stem = infer_resnet_config(&checkpoint)?.stem;
        let preset = Preset::for_checkpoint(checkpoint.layout(), &stem);
        let preset = preset.unwrap_or(match stem {
            Stem::ImageNet => Preset::Swav800,
            Stem::Small { .. } => Preset::SwavSmall,
        });
        let plan = preset.continuation(first.clone());
        Ok(Self {
            backbones: Vec::new(),
            data: None,
            evaluation: plan.evaluation,
            probes: plan.probes,
            preset,
            failure_limit: plan.failure_limit,
            seed: plan.seed,
            device: plan.device,
        })
    }

    /// The plan for images of `shape` = `[height, width, channels]`, as
    /// [`Plan::for_small_images`](crate::Plan::for_small_images); it changes nothing for full-size
    /// networks.
    pub fn for_images(mut self, shape: [usize; 3]) -> Self {
        if self.preset.is_small() {
            self.evaluation = small_recipe(self.evaluation, shape);
        }
        self
    }
}

/// Probes every backbone of the plan on the same images, and compares them. With a folder `output`,
/// writes the predictions of each image (CSV) and the results (JSON) to it.
///
/// # Errors
/// If a setting is outside its range, a checkpoint or the data cannot be used, or nothing can be
/// probed.
pub fn evaluate(
    plan: &EvaluationPlan,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<Evaluation, Error> {
    plan.evaluation.validate()?;
    for probe in &plan.probes {
        probe.settings.validate()?;
    }
    let device = parse_device(&plan.device)?;
    let tell = |line: &str| observer.event(&Event::Decision(line));
    let mut loaded = Vec::new();
    for (name, start) in &plan.backbones {
        let checkpoint = open_checkpoint(start)?;
        let decisions = checkpoint.decisions().into_iter();
        for line in decisions.chain(stem_decision(&checkpoint, start)?) {
            tell(&format!("{name}: {line}"));
        }
        loaded.push((name, load_backbone(&checkpoint, start, &device)?));
    }
    let images = data::open(plan.data.as_deref(), None, observer)?;
    let summary = images.summary();
    summary.lines().iter().for_each(|line| tell(line));
    for problem in &images.problems {
        observer.event(&Event::Note(&problem.to_string()));
    }
    let (Some(test), None) = (images.test.clone(), summary.probe_problem()) else {
        let problem = summary.probe_problem();
        let problem = problem.unwrap_or_else(|| "there are no test images".into());
        return Err(Error::NotProbed { problem });
    };
    let loader = |source| evaluation_loader(source, &plan.evaluation, plan.failure_limit);
    let loaders = [loader(images.train)?, loader(test)?];
    let test = loaders[1].source();
    if let Some(output) = output {
        create_dir(output)?;
    }

    let total = loaders.iter().map(|loader| loader.source().len()).sum();
    // The same for all backbones: so are the images that take the place of unreadable ones.
    let mut labels = Vec::new();
    let mut backbones = Vec::new();
    for (name, backbone) in loaded {
        let mut features = Vec::new();
        let mut done = 0;
        for loader in &loaders {
            let extraction = Extraction {
                device: &device,
                observer: &**observer,
                task: &format!("features, {name}"),
                done_and_total: [done, total],
                folder: output.unwrap_or(Path::new(".")),
                failed: &|images| {
                    images
                        .iter()
                        .for_each(|image| observer.event(&Event::FailedImage(image)));
                },
            };
            features.push(extract(&backbone, loader, None, &extraction)?);
            done += loader.source().len();
        }
        let total = plan.probes.iter().map(|probe| probe.draws).sum();
        let task = format!("probes, {name}");
        let mut done = 0;
        let tick = || {
            done += 1;
            let task = &*task;
            observer.event(&Event::Progress { task, done, total });
            Ok(())
        };
        let probes = probe_all(
            &features[0],
            &features[1],
            test.classes(),
            &plan.probes,
            plan.seed,
            &device,
            tick,
        )?;
        observer.event(&Event::Probed {
            backbone: name,
            probes: &probes,
        });
        if let Some(output) = output {
            let names = (0..test.len()).map(|i| test.image_name(i));
            let file = output.join(format!("predictions-{name}.csv"));
            write_predictions(&file, names, features[1].labels(), &probes)?;
        }
        labels = features[1].labels().to_vec();
        backbones.push((name.clone(), probes));
    }
    let mut comparisons = Vec::new();
    if let [(name, probes), others @ ..] = &backbones[..] {
        let labeled = |name, probes| LabeledBackbone {
            name,
            probes,
            labels: &labels,
        };
        let reference = labeled(name, probes);
        for (name, probes) in others {
            comparisons.extend(compare(&labeled(name, probes), &reference, plan.seed)?);
        }
    }
    let evaluation = Evaluation {
        backbones,
        comparisons,
    };
    if let Some(output) = output {
        write_json(&output.join("results.json"), &evaluation)?;
    }
    Ok(evaluation)
}
