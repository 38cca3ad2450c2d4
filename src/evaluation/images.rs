use std::path::PathBuf;
use std::sync::Arc;

use e2mc_data::Recipe;
use e2mc_data::source::ImageSource;
use e2mc_resnet::{ResNet, Stem, infer_resnet_config};
use serde::Serialize;

use crate::plan::{CheckpointStart, probe_recipe, small_recipe};
use crate::probing::check_channels;
use crate::study::{load_backbone, open_checkpoint, open_images, stem_decision};
use crate::{Error, Event, Observer, Plan, Preset, Result, parse_device};

/// The images for evaluating backbones, and their preprocessing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ImagePlan {
    /// Folder of the images. None: the embedded images.
    pub data: Option<PathBuf>,
    /// From an image to its single view for frozen backbones and for tests.
    pub evaluation: Recipe,
    /// The share of the images that may be unreadable, 0 to 1.
    pub failure_limit: f64,
    /// Name of the device.
    pub device: String,
    /// The preset that matches the backbone. It affects no number by itself.
    #[serde(skip)]
    pub preset: Preset,
}

impl ImagePlan {
    /// Settings for backbones like the one of `first`: its method's preset, or SwAV's if the file
    /// contains only a backbone. Uses the preset for small images if the stem is small.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or contains no ResNet.
    pub fn like(first: &CheckpointStart) -> Result<Self> {
        let checkpoint = open_checkpoint(first)?;
        let stem = infer_resnet_config(&checkpoint)?.stem;
        let preset = Preset::for_checkpoint(checkpoint.layout(), &stem);
        Ok(Self::of(preset.unwrap_or(match stem {
            Stem::Small { .. } => Preset::SwavSmall,
            _ => Preset::Swav800,
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

    /// The plan for images of `shape` = `[height, width, channels]`, as in
    /// [`Plan::for_small_images`]. Does not change the plan of full-size networks.
    pub fn for_images(mut self, shape: [usize; 3]) -> Self {
        if self.preset.is_small() {
            self.evaluation = small_recipe(self.evaluation, shape);
        }
        self
    }

    /// Random crops of the evaluation's size with random flips, as in the training of the published
    /// classifiers.
    pub fn training_recipe(&self) -> Recipe {
        probe_recipe(&self.evaluation, self.preset.is_small())
    }

    /// Opens the labeled training and test images, and reports what was found.
    ///
    /// # Errors
    ///
    /// If the images cannot be read or have no labels, or there is only one class.
    pub(crate) fn open(&self, observer: &Arc<dyn Observer>) -> Result<[Arc<dyn ImageSource>; 2]> {
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

    /// Loads a backbone, and reports the decisions.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or contains no ResNet, or the channels do not match.
    pub(crate) fn backbone(
        &self,
        name: &str,
        start: &CheckpointStart,
        observer: &dyn Observer,
    ) -> Result<ResNet> {
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
