use std::path::Path;
use std::sync::Arc;

use e2mc_eval::diagnostics::NeighborDistances;
use serde::{Serialize, Serializer};

use super::features::for_each_backbone;
use super::{FeatureSource, ImagePlan, Probes};
use crate::files::{create_dir, write_json};
use crate::plan::Crops;
use crate::probing::{PredictedBackbone, Probing, compare, distances_of_features};
use crate::{Comparison, Error, Event, LabelProbes, Observer, Predictions, Result, parse_device};

/// An evaluation of backbones by probes on the same images.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPlan {
    /// The backbones with their names. Later ones are compared with the first.
    pub backbones: Vec<(String, FeatureSource)>,
    /// The images.
    pub images: ImagePlan,
    /// The probes.
    pub probes: Probes,
    /// Their views of the training images.
    pub crops: Crops,
    /// Decides the drawn labels and the probes' initial weights.
    pub seed: u64,
}

/// The result of [`evaluate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The probes of each backbone, under its name.
    pub backbones: Vec<(String, Vec<LabelProbes>)>,
    /// Every later backbone against the first.
    pub comparisons: Vec<Comparison>,
    /// For each backbone's name, the distances of up to 2000 test images' features to two of their
    /// neighbors. As JSON, the overlap of the two.
    #[serde(rename = "neighbor_overlap", serialize_with = "overlaps")]
    pub neighbors: Vec<(String, NeighborDistances)>,
}

fn overlaps<S: Serializer>(
    neighbors: &[(String, NeighborDistances)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let overlaps = neighbors
        .iter()
        .map(|(name, distances)| (name, distances.overlap()));
    serializer.collect_map(overlaps)
}

/// Probes every backbone of the plan on the same images, and compares them. If `output` is given,
/// writes the predictions of each image (CSV) and the results (JSON) to it.
///
/// # Errors
///
/// If a setting is out of range, a checkpoint or the data cannot be used, backbones have features
/// of different images, or nothing can be probed.
pub fn evaluate(
    plan: &EvaluationPlan,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<Evaluation> {
    plan.probes.validate()?;
    let is_file = |(_, source): &(_, FeatureSource)| matches!(source, FeatureSource::Files { .. });
    if plan.backbones.iter().any(is_file) {
        if plan.crops != Crops::Center {
            let expected = "center: features from files have no crops";
            return Err(Error::invalid("crops", plan.crops, expected));
        }
        if matches!(plan.probes, Probes::Map(_)) {
            let expected = "for linear probes: files of features hold no feature maps";
            return Err(Error::invalid("preset", "inat", expected));
        }
    }
    let device = parse_device(&plan.images.device)?;
    let mut backbones = Vec::new();
    let mut predicted: Vec<(String, Predictions)> = Vec::new();
    let mut neighbors = Vec::new();
    let images = &plan.images;
    for_each_backbone(
        &plan.backbones,
        images,
        (plan.crops, plan.probes.kind()),
        output,
        observer,
        |name, features, train| {
            let total = plan.probes.count();
            let task = format!("probes, {name}");
            let mut done = 0;
            let tick = || {
                done += 1;
                let task = &*task;
                observer.event(&Event::Progress { task, done, total });
                Ok(())
            };
            let probing = Probing {
                train,
                test: &features.test,
                channels: features.channels,
                images: features.training_images(),
                seed: plan.seed,
                device: &device,
            };
            let probes = plan.probes.train(&probing, tick)?;
            let distances = distances_of_features(&features.test, &device)?;
            neighbors.extend(distances.map(|distances| (name.to_string(), distances)));
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
        neighbors,
    };
    if let Some(output) = output {
        write_json(&output.join("results.json"), &evaluation)?;
    }
    Ok(evaluation)
}

/// Every later backbone against the first.
fn comparisons(all: &[(String, Predictions)], seed: u64) -> Result<Vec<Comparison>> {
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
