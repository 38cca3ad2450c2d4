use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::features::for_each_backbone;
use super::{FeatureSource, ImagePlan};
use crate::files::{create_dir, write_json};
use crate::plan::ProbePlan;
use crate::probing::{PredictedBackbone, compare, probe_all};
use crate::{Comparison, Error, Event, LabelProbes, Observer, Predictions, parse_device};

/// Backbones to be probed on the same images, without any training.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPlan {
    /// The backbones, each with its name; those after the first are compared with the first.
    pub backbones: Vec<(String, FeatureSource)>,
    /// The images.
    pub images: ImagePlan,
    /// The linear probes.
    pub probes: Vec<ProbePlan>,
    /// Random crops of each training image, mirrored or not, whose features are cached: epoch e of a
    /// probe sees crop e mod `crops`. 0: the center crop in every epoch.
    pub crops: usize,
    /// Decides which labels are drawn, and the probes' first weights.
    pub seed: u64,
}

/// What [`evaluate`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The probes of each backbone, under its name.
    pub backbones: Vec<(String, Vec<LabelProbes>)>,
    /// Every later backbone against the first.
    pub comparisons: Vec<Comparison>,
}

/// Probes every backbone of the plan on the same images, and compares them. With a folder `output`,
/// writes the predictions of each image (CSV) and the results (JSON) to it.
///
/// # Errors
/// If a setting is outside its range, a checkpoint or the data cannot be used, backbones have
/// features of different images, or nothing can be probed.
pub fn evaluate(
    plan: &EvaluationPlan,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<Evaluation, Error> {
    for probe in &plan.probes {
        if probe.draws == 0 {
            return Err(Error::field("label_draws", 0, "at least 1"));
        }
        probe.settings.validate()?;
    }
    let is_file = |(_, source): &(_, FeatureSource)| matches!(source, FeatureSource::Files { .. });
    if plan.crops > 0 && plan.backbones.iter().any(is_file) {
        let expected = "none: features from files are taken as they are";
        return Err(Error::field("crops", plan.crops, expected));
    }
    let device = parse_device(&plan.images.device)?;
    let mut backbones = Vec::new();
    let mut predicted: Vec<(String, Predictions)> = Vec::new();
    let images = &plan.images;
    for_each_backbone(
        &plan.backbones,
        images,
        plan.crops,
        output,
        observer,
        |name, features| {
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
                &features.train,
                &features.test,
                features.training_images(),
                &plan.probes,
                plan.seed,
                &device,
                tick,
            )?;
            observer.event(&Event::Probed {
                backbone: name,
                probes: &probes,
            });
            let predictions = Predictions {
                images: features.test_names.clone(),
                labels: features.test.labels().to_vec(),
                probes: probes.iter().map(Into::into).collect(),
            };
            if let Some(output) = output {
                create_dir(output)?;
                predictions.write(&output.join(format!("predictions-{name}.csv")))?;
            }
            backbones.push((name.to_string(), probes));
            predicted.push((name.to_string(), predictions));
            Ok(())
        },
    )?;
    let evaluation = Evaluation {
        comparisons: comparisons(&predicted, plan.seed)?,
        backbones,
    };
    if let Some(output) = output {
        write_json(&output.join("results.json"), &evaluation)?;
    }
    Ok(evaluation)
}

/// Every later backbone against the first.
fn comparisons(all: &[(String, Predictions)], seed: u64) -> Result<Vec<Comparison>, Error> {
    let Some(((name, first), others)) = all.split_first() else {
        return Ok(Vec::new());
    };
    let reference = PredictedBackbone::new(name, first);
    let mut comparisons = Vec::new();
    for (name, other) in others {
        if let Some(difference) = first.difference_of_images(other) {
            let problem = format!("{name} has {difference}");
            return Err(Error::NotProbed { problem });
        }
        comparisons.extend(compare(
            &PredictedBackbone::new(name, other),
            &reference,
            seed,
        )?);
    }
    Ok(comparisons)
}
