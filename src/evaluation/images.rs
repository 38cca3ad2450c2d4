use std::path::PathBuf;
use std::sync::Arc;

use e2mc_data::Recipe;
use e2mc_data::source::ImageSource;
use e2mc_resnet::{ResNet, Stem, infer_resnet_config};
use serde::Serialize;

use crate::plan::{CheckpointStart, probe_recipe, small_recipe};
use crate::probing::check_channels;
use crate::study::{load_backbone, open_checkpoint, open_images, stem_decision};
use crate::{Error, Event, Observer, Plan, Preset, parse_device};

/// The images on which backbones are judged, and how they are shown to them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImagePlan {
    /// Folder of the images; none: the embedded ones.
    pub data: Option<PathBuf>,
    /// From an image to the one view that frozen backbones see, and that tests see.
    pub evaluation: Recipe,
    /// The share of the images that may be unreadable, 0 to 1.
    pub failure_limit: f64,
    /// Name of the device.
    pub device: String,
    /// The preset that fits the backbone; it decides no number by itself.
    #[serde(skip)]
    pub preset: Preset,
}

impl ImagePlan {
    /// Settings for backbones like that of `first`: those of its method's preset, or SwAV's where
    /// the file holds a backbone alone; for small images if its stem is for them.
    ///
    /// # Errors
    /// If the file cannot be read or holds no ResNet.
    pub fn like(first: &CheckpointStart) -> Result<Self, Error> {
        let checkpoint = open_checkpoint(first)?;
        let stem = infer_resnet_config(&checkpoint)?.stem;
        let preset = Preset::for_checkpoint(checkpoint.layout(), &stem);
        Ok(Self::of(preset.unwrap_or(match stem {
            Stem::ImageNet => Preset::Swav800,
            Stem::Small { .. } => Preset::SwavSmall,
        })))
    }

    /// Settings of a preset.
    pub fn of(preset: Preset) -> Self {
        let Plan {
            evaluation,
            failure_limit,
            device,
            ..
        } = preset.pretraining();
        Self {
            data: None,
            evaluation,
            failure_limit,
            device,
            preset,
        }
    }

    /// The plan for images of `shape` = `[height, width, channels]`, as
    /// [`Plan::for_small_images`]; it changes nothing for full-size networks.
    pub fn for_images(mut self, shape: [usize; 3]) -> Self {
        if self.preset.is_small() {
            self.evaluation = small_recipe(self.evaluation, shape);
        }
        self
    }

    /// Random crops of the size of the evaluation's, mirrored or not: what the published
    /// classifiers are trained with.
    pub fn training_recipe(&self) -> Recipe {
        probe_recipe(&self.evaluation, self.preset.is_small())
    }

    /// Opens the labeled training and test images, and tells what was found.
    ///
    /// # Errors
    /// If they cannot be read or have no labels, or there is a single class.
    pub(crate) fn open(
        &self,
        observer: &Arc<dyn Observer>,
    ) -> Result<[Arc<dyn ImageSource>; 2], Error> {
        if !(0.0..=1.0).contains(&self.failure_limit) {
            let expected = "a share, from 0 to 1";
            return Err(Error::invalid(
                "failure_limit",
                self.failure_limit,
                expected,
            ));
        }
        self.evaluation.validate()?;
        let images = open_images(self.data.as_deref(), None, observer)?;
        let summary = images.summary();
        for line in summary.lines() {
            observer.event(&Event::Decision(&line));
        }
        for problem in &images.problems {
            observer.event(&Event::Note(&problem.to_string()));
        }
        match (images.test.clone(), summary.probe_problem()) {
            (Some(test), None) => Ok([images.train, test]),
            (_, problem) => Err(Error::NotProbed {
                problem: problem.unwrap_or_else(|| "there are no test images".into()),
            }),
        }
    }

    /// Loads a backbone, and tells what had to be decided.
    ///
    /// # Errors
    /// If the file cannot be read, holds no ResNet, or one for images of other channels.
    pub(crate) fn backbone(
        &self,
        name: &str,
        start: &CheckpointStart,
        observer: &dyn Observer,
    ) -> Result<ResNet, Error> {
        let checkpoint = open_checkpoint(start)?;
        let decisions = checkpoint.decisions().into_iter();
        for line in decisions.chain(stem_decision(&checkpoint, start)?) {
            observer.event(&Event::Decision(&format!("{name}: {line}")));
        }
        let backbone = load_backbone(&checkpoint, start, &parse_device(&self.device)?)?;
        check_channels(&backbone, self.evaluation.channels())?;
        Ok(backbone)
    }
}
