use std::path::Path;
use std::sync::Arc;

use e2mc_data::Recipe;
use e2mc_data::source::ImageSource;
use e2mc_eval::{Features, HostMemory, StoredFeatures};
use e2mc_resnet::ResNet;

use super::{FeatureSource, ImagePlan};
use crate::probing::{Extraction, LabeledImages, evaluation_loader, extract};
use crate::study::check_features;
use crate::{Error, Event, Observer, parse_device};

/// The features that a backbone has for labeled images of both parts.
pub(super) struct LabeledFeatures {
    /// Of the training images: those of each crop, or of the center crop alone.
    pub(super) train: Vec<Features>,
    pub(super) test: Features,
    /// Where the training images come from.
    place: String,
    train_names: Vec<String>,
    pub(super) test_names: Vec<String>,
    classes: Vec<String>,
}

impl LabeledFeatures {
    pub(super) fn training_images(&self) -> LabeledImages<'_> {
        LabeledImages {
            place: &self.place,
            names: &self.train_names,
            labels: self.train[0].labels(),
            classes: &self.classes,
        }
    }

    /// Reads the features of both parts.
    fn read(train_file: &Path, test_file: &Path) -> Result<Self, Error> {
        let train = StoredFeatures::read(train_file)?;
        let test = StoredFeatures::read(test_file)?;
        if train.classes != test.classes {
            let train_file = train_file.display();
            let reason = format!("its classes are not those of {train_file}; give both of one set");
            return Err(Error::state(test_file, reason));
        }
        Ok(Self {
            train: vec![train.features],
            test: test.features,
            place: train_file.display().to_string(),
            train_names: train.names,
            test_names: test.names,
            classes: train.classes,
        })
    }
}

/// A backbone whose features are known or can be computed.
enum Ready {
    Backbone(Box<ResNet>),
    Files(LabeledFeatures),
}

/// Calls `judge` with the features of each backbone under its name, one backbone after the other.
/// All checkpoints, files and images are opened before the first feature is computed. With `crops`
/// above 0 there are features of so many random crops of each training image.
pub(super) fn for_each_backbone(
    backbones: &[(String, FeatureSource)],
    plan: &ImagePlan,
    crops: usize,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
    mut judge: impl FnMut(&str, &LabeledFeatures) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut ready = Vec::new();
    for (name, source) in backbones {
        ready.push(match source {
            FeatureSource::Checkpoint(start) => {
                Ready::Backbone(plan.backbone(name, start, &**observer)?.into())
            }
            FeatureSource::Files { train, test } => {
                Ready::Files(LabeledFeatures::read(train, test)?)
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
            None => plan.open(observer)?,
        };
        let count = crops.max(1) * images[0].len() + images[1].len();
        if let ("flex", Some(memory)) = (&*plan.device, HostMemory::now()) {
            check_features(count, backbone.out_features(), memory)?;
        }
        opened = Some(images);
    }
    for ((name, _), ready) in backbones.iter().zip(ready) {
        let features = match (ready, &opened) {
            (Ready::Files(features), _) => features,
            (Ready::Backbone(backbone), Some(images)) => {
                extracted(name, &backbone, images, plan, crops, output, &**observer)?
            }
            (Ready::Backbone(_), None) => unreachable!("images were opened for it"),
        };
        judge(name, &features)?;
    }
    Ok(())
}

/// The features that a backbone has for the images.
fn extracted(
    name: &str,
    backbone: &ResNet,
    images: &[Arc<dyn ImageSource>; 2],
    plan: &ImagePlan,
    crops: usize,
    output: Option<&Path>,
    observer: &dyn Observer,
) -> Result<LabeledFeatures, Error> {
    let device = parse_device(&plan.device)?;
    let [train, test] = images;
    let total = crops.max(1) * train.len() + test.len();
    let mut done = 0;
    let mut features = |source: &Arc<dyn ImageSource>, recipe: &Recipe, epoch| {
        let loader = evaluation_loader(source.clone(), recipe, plan.failure_limit)?;
        let extraction = Extraction {
            device: &device,
            observer,
            task: &format!("features, {name}"),
            done_and_total: [done, total],
            folder: output.unwrap_or(Path::new(".")),
            epoch,
            failed: &|images| {
                images
                    .iter()
                    .for_each(|image| observer.event(&Event::FailedImage(image)));
            },
        };
        done += source.len();
        extract(backbone, &loader, None, &extraction)
    };
    let test_features = features(test, &plan.evaluation, 0)?;
    let train_features = match crops {
        0 => vec![features(train, &plan.evaluation, 0)?],
        _ => {
            let recipe = plan.training_recipe();
            let crops = (0..crops).map(|crop| features(train, &recipe, crop));
            crops.collect::<Result<_, _>>()?
        }
    };
    let [train_names, test_names] = images.each_ref().map(|source| {
        let names = (0..source.len()).map(|i| source.image_name(i));
        names.collect()
    });
    Ok(LabeledFeatures {
        train: train_features,
        test: test_features,
        place: images[0].name().into(),
        train_names,
        test_names,
        classes: images[0].classes().to_vec(),
    })
}
