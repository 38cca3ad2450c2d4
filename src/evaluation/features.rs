use std::path::Path;
use std::sync::Arc;

use e2mc_data::FailedRead;
use e2mc_data::source::ImageSource;
use e2mc_eval::{Features, StoredFeatures};
use e2mc_resnet::ResNet;

use super::{FeatureSource, ImagePlan};
use crate::plan::Crops;
use crate::probing::{Around, FeatureKind, LabeledImages, ProbeImages, TrainFeatures};
use crate::study::check_features;
use crate::{Error, Event, HostMemory, Observer, Result, parse_device};

/// A backbone's features of the training and test images, with labels.
pub(super) struct LabeledFeatures {
    /// Features of the training images for each crop; empty for fresh crops.
    pub(super) crops: Vec<Features>,
    /// Training images that were unreadable for at least one crop.
    unreadable: Vec<usize>,
    pub(super) test: Features,
    /// Channels of the features.
    pub(super) channels: usize,
    /// Description of the training images' source.
    place: String,
    train_names: Vec<String>,
    train_labels: Vec<u32>,
    pub(super) test_names: Vec<String>,
    classes: Vec<String>,
}

impl LabeledFeatures {
    pub(super) fn training_images(&self) -> LabeledImages<'_> {
        LabeledImages {
            place: &self.place,
            names: &self.train_names,
            labels: &self.train_labels,
            classes: &self.classes,
            rows: None,
        }
    }

    /// The features computed before the probes.
    fn cached(&self) -> TrainFeatures<'_> {
        TrainFeatures::Cached {
            crops: &self.crops,
            unreadable: &self.unreadable,
        }
    }

    /// Reads the features of both parts.
    fn read(train_file: &Path, test_file: &Path, plan: &ImagePlan) -> Result<Self> {
        let shapes = [train_file, test_file].map(StoredFeatures::shape);
        for shape in &shapes {
            shape.as_ref().map_err(Clone::clone)?;
        }
        let values = shapes
            .into_iter()
            .flatten()
            .map(|[n, d]| n as u64 * d as u64);
        if let ("flex", Some(memory)) = (&*plan.device, HostMemory::now()) {
            check_features(values.sum(), memory)?;
        }
        let train = StoredFeatures::read(train_file)?;
        let test = StoredFeatures::read(test_file)?;
        if train.classes != test.classes {
            let train_file = train_file.display();
            let reason = format!(
                "its classes are not those of {train_file}; use features of the same data set"
            );
            return Err(Error::state(test_file, reason));
        }
        Ok(Self {
            train_labels: train.features.labels().to_vec(),
            channels: train.features.dims(),
            crops: vec![train.features],
            unreadable: Vec::new(),
            test: test.features,
            place: train_file.display().to_string(),
            train_names: train.names,
            test_names: test.names,
            classes: train.classes,
        })
    }

    /// Computes a backbone's features of images.
    fn of(
        backbone: &ResNet,
        kind: FeatureKind,
        images: &ProbeImages,
        around: &Around,
    ) -> Result<Self> {
        let features = images.features(&kind.of(backbone), around, |_| None)?;
        let names = |part: &dyn ImageSource| (0..part.len()).map(|i| part.image_name(i)).collect();
        let train = images.train();
        Ok(Self {
            train_labels: features.train_labels(train).to_vec(),
            channels: backbone.out_features(),
            crops: features.crops,
            unreadable: features.unreadable,
            test: features.test,
            place: train.name().into(),
            train_names: names(train),
            test_names: names(images.test()),
            classes: train.classes().to_vec(),
        })
    }
}

/// A backbone with known or computable features.
enum Ready {
    Backbone(Box<ResNet>),
    Files(Box<LabeledFeatures>),
}

/// Calls `evaluate` with the name and features of each backbone, one after the other. All
/// checkpoints, files and images are opened, and the memory is checked, before any feature is
/// computed.
pub(super) fn for_each_backbone(
    backbones: &[(String, FeatureSource)],
    plan: &ImagePlan,
    (crops, kind): (Crops, FeatureKind),
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
    mut evaluate: impl FnMut(&str, &LabeledFeatures, TrainFeatures) -> Result<()>,
) -> Result<()> {
    let mut ready = Vec::new();
    for (name, source) in backbones {
        ready.push(match source {
            FeatureSource::Checkpoint(start) => {
                Ready::Backbone(plan.backbone(name, start, &**observer)?.into())
            }
            FeatureSource::Files { train, test } => {
                Ready::Files(LabeledFeatures::read(train, test, plan)?.into())
            }
        });
    }
    let mut opened = None;
    for ready in &ready {
        let Ready::Backbone(backbone) = ready else {
            continue;
        };
        let images = match opened.take() {
            Some(images) => images,
            None => {
                let (parts, random) = (plan.open(observer)?, plan.training_recipe());
                let limit = plan.failure_limit;
                ProbeImages::new(parts, &plan.evaluation, random, crops, limit)?
            }
        };
        let values = images.in_memory() as u64 * images.dims(&kind.of(backbone))? as u64;
        if let ("flex", Some(memory)) = (&*plan.device, HostMemory::now())
            && let Some(note) = check_features(values, memory)?
        {
            observer.event(&Event::Note(&note));
        }
        opened = Some(images);
    }
    let device = parse_device(&plan.device)?;
    let failed = |_: &dyn ImageSource, images: &[FailedRead]| {
        let tell = |image| observer.event(&Event::FailedImage(image));
        images.iter().for_each(tell);
    };
    for ((name, _), ready) in backbones.iter().zip(ready) {
        let around = Around {
            device: &device,
            observer: &**observer,
            title: name,
            folder: output.unwrap_or(Path::new(".")),
            failed: &failed,
        };
        match (ready, &opened) {
            (Ready::Files(features), _) => evaluate(name, &features, features.cached())?,
            (Ready::Backbone(backbone), Some(images)) => {
                let features = LabeledFeatures::of(&backbone, kind, images, &around)?;
                let seen = kind.of(&backbone);
                let fresh = images.fresh(&seen, &around);
                let train = match crops {
                    Crops::Fresh => TrainFeatures::Fresh(&fresh),
                    _ => features.cached(),
                };
                evaluate(name, &features, train)?;
            }
            (Ready::Backbone(_), None) => unreachable!("images were opened for it"),
        }
    }
    Ok(())
}
