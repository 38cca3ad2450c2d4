use std::path::Path;
use std::sync::Arc;

use e2mc_data::derived_seed;
use e2mc_eval::knn_for_each;
use e2mc_eval::statistics::Summary;
use serde::Serialize;

use super::features::{LabeledFeatures, for_each_backbone};
use super::{FeatureSource, ImagePlan};
use crate::files::{create_dir, write_json};
use crate::plan::{Crops, Labels};
use crate::probing::FeatureKind;
use crate::{Error, Event, Observer, PredictedProbe, Predictions, Result, parse_device};

/// A kNN evaluation of a backbone's features (Wu et al. 2018).
#[derive(Debug, Clone, PartialEq)]
pub struct KnnPlan {
    /// The backbone.
    pub backbone: FeatureSource,
    /// The images.
    pub images: ImagePlan,
    /// Numbers of neighbors that vote, each at least 1.
    pub ks: Vec<usize>,
    /// A neighbor of cosine similarity s has `exp(s / temperature)` votes; positive.
    pub temperature: f64,
    /// Which of the training images may vote.
    pub labels: Vec<Labels>,
    /// Draws of the labeled images, if there is something to draw.
    pub draws: usize,
    /// Decides which labels are drawn.
    pub seed: u64,
}

/// The result of [`evaluate_knn`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnnEvaluation {
    /// Votes of a neighbor of cosine similarity s: `exp(s / temperature)`.
    pub temperature: f64,
    /// One for each k and choice of labels.
    pub rows: Vec<KnnRow>,
}

/// The accuracies with one number of neighbors and one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnnRow {
    /// Which of the training images vote.
    pub labels: Labels,
    /// Neighbors that vote.
    pub k: usize,
    /// Top-1 accuracy on the test images in percent, one per draw of labels.
    pub accuracies: Vec<f64>,
    /// Mean and standard deviation over the draws, in percent.
    pub accuracy: Summary,
}

/// Classifies the test images by their nearest training images. If `output` is given, writes
/// `predictions-knn.csv` and `results.json` to it.
///
/// # Errors
///
/// If a setting is out of range, or checkpoint, features or data cannot be used.
pub fn evaluate_knn(
    plan: &KnnPlan,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<KnnEvaluation> {
    if plan.ks.is_empty() {
        return Err(Error::invalid(
            "k",
            "empty",
            "at least one number of neighbors",
        ));
    }
    if plan.draws == 0 {
        return Err(Error::invalid("label_draws", 0, "at least 1"));
    }
    parse_device(&plan.images.device)?;
    let backbones = [("knn".to_string(), plan.backbone.clone())];
    let mut classified = None;
    let images = &plan.images;
    let seen = (Crops::Center, FeatureKind::Average);
    for_each_backbone(
        &backbones,
        images,
        seen,
        output,
        observer,
        |_, features, _| {
            classified = Some(classify(plan, features, &**observer)?);
            Ok(())
        },
    )?;
    let (rows, predictions) = classified.expect("there is one backbone");
    let evaluation = KnnEvaluation {
        temperature: plan.temperature,
        rows,
    };
    if let Some(output) = output {
        create_dir(output)?;
        predictions.write(&output.join("predictions-knn.csv"))?;
        write_json(&output.join("results.json"), &evaluation)?;
    }
    Ok(evaluation)
}

fn classify(
    plan: &KnnPlan,
    features: &LabeledFeatures,
    observer: &dyn Observer,
) -> Result<(Vec<KnnRow>, Predictions)> {
    let device = parse_device(&plan.images.device)?;
    let draws = |labels: &Labels| if labels.are_drawn() { plan.draws } else { 1 };
    let total = plan.labels.iter().map(draws).sum();
    let mut done = 0;
    let (mut rows, mut probes) = (Vec::new(), Vec::new());
    for labels in &plan.labels {
        let mut by_draw = Vec::new();
        for draw in 0..draws(labels) {
            let seed = derived_seed(plan.seed, draw as u64);
            let chosen = features.training_images().choose(labels, seed)?;
            let train = match &chosen {
                Some(chosen) => features.crops[0].part(chosen)?,
                None => (&features.crops[0]).into(),
            };
            let (test, temperature) = (&features.test, plan.temperature);
            by_draw.push(knn_for_each(train, test, &plan.ks, temperature, &device)?);
            done += 1;
            let task = "kNN";
            observer.event(&Event::Progress { task, done, total });
        }
        for (i, &k) in plan.ks.iter().enumerate() {
            let of_k = by_draw.iter().map(|results| &results[i]);
            let accuracies: Vec<f64> = of_k.clone().map(|r| 100.0 * r.accuracy).collect();
            rows.push(KnnRow {
                labels: labels.clone(),
                k,
                accuracy: Summary::of(&accuracies)?,
                accuracies,
            });
            probes.push(PredictedProbe {
                name: format!("{}, {k} neighbors", labels.title()),
                draws: of_k.map(|result| result.predictions.clone()).collect(),
            });
        }
    }
    let predictions = Predictions {
        images: features.test_names.clone(),
        labels: features.test.labels().to_vec(),
        probes,
    };
    Ok((rows, predictions))
}
