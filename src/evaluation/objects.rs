use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2mc_data::decode::DecodeLimits;
use e2mc_data::source::{ImageSource, Presence, Voc2007};
use e2mc_eval::svm::{ObjectLabels, Presence as Shown, SvmConfig, SvmResult, svm};
use e2mc_eval::{Features, extract_features};
use e2mc_resnet::ResNet;
use serde::Serialize;

use super::ImagePlan;
use crate::files::{create_dir, write_atomically, write_json};
use crate::plan::CheckpointStart;
use crate::probing::{Extraction, evaluation_loader};
use crate::{Error, Event, Observer, Result, parse_device};

/// The parts of Pascal VOC 2007: SVMs are trained on the first and tested on the second.
const PARTS: [&str; 2] = ["trainval", "test"];
/// Path of the data set's folder in the published archives.
const IN_ARCHIVE: &str = "VOCdevkit/VOC2007";

/// An evaluation of a backbone by linear SVMs on Pascal VOC 2007, one for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct SvmPlan {
    /// The backbone.
    pub checkpoint: CheckpointStart,
    /// The images. `data` is the folder `VOC2007`, or a folder that contains `VOCdevkit/VOC2007`.
    pub images: ImagePlan,
    /// The SVMs.
    pub settings: SvmConfig,
}

/// The result of [`evaluate_svm`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SvmEvaluation {
    /// Names of the classes, in the order of the results.
    pub classes: Vec<String>,
    /// The SVMs and their average precisions.
    pub result: SvmResult,
}

/// Trains an SVM for each class on the features of `trainval` and tests it on `test`. If `output`
/// is given, writes `scores.csv` (the decision values of each test image) and `results.json`.
///
/// # Errors
///
/// If a setting is out of range, checkpoint or data cannot be used, or a class has too few images.
pub fn evaluate_svm(
    plan: &SvmPlan,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<SvmEvaluation> {
    plan.settings.validate()?;
    let Some(root) = &plan.images.data else {
        return Err(Error::invalid("data", "not given", "the folder VOC2007"));
    };
    let backbone = plan
        .images
        .backbone("backbone", &plan.checkpoint, &**observer)?;
    let root = match root.join(IN_ARCHIVE) {
        inner if inner.exists() => inner,
        _ => PathBuf::from(root),
    };
    let open = |part| Voc2007::open(&root, part, DecodeLimits::default());
    let parts = [open(PARTS[0])?, open(PARTS[1])?].map(Arc::new);
    for (part, images) in PARTS.iter().zip(&parts) {
        let line = format!("{part}: {} images of {}", images.len(), images.name());
        observer.event(&Event::Decision(&line));
    }
    let total = parts.iter().map(|images| images.len()).sum();
    let [train, test] = &parts;
    let train = LabeledPart::of(train, &backbone, plan, [0, total], &**observer)?;
    let test = LabeledPart::of(
        test,
        &backbone,
        plan,
        [train.features.len(), total],
        &**observer,
    )?;
    let result = svm(
        &train.features,
        &train.labels,
        &test.features,
        &test.labels,
        &plan.settings,
    )?;
    let evaluation = SvmEvaluation {
        classes: parts[1].classes().to_vec(),
        result,
    };
    if let Some(output) = output {
        create_dir(output)?;
        evaluation.write_scores(&output.join("scores.csv"), &*parts[1])?;
        write_json(&output.join("results.json"), &evaluation)?;
    }
    Ok(evaluation)
}

/// The features of one part, with the classes that its images show.
struct LabeledPart {
    features: Features,
    labels: ObjectLabels,
}

impl LabeledPart {
    fn of(
        images: &Arc<Voc2007>,
        backbone: &ResNet,
        plan: &SvmPlan,
        done_and_total: [usize; 2],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let device = parse_device(&plan.images.device)?;
        let ImagePlan {
            evaluation,
            failure_limit,
            ..
        } = &plan.images;
        let loader = evaluation_loader(images.clone(), evaluation, *failure_limit)?;
        let [before, total] = done_and_total;
        let task = "features";
        let extraction = Extraction {
            device: &device,
            observer,
            task,
            done_and_total,
            folder: Path::new("."),
            epoch: 0,
            failed: &|images| {
                images
                    .iter()
                    .for_each(|image| observer.event(&Event::FailedImage(image)));
            },
        };
        // Instead of a label, the index of the image actually read, which may be a replacement.
        let batches = extraction.batches(&loader).map(|batch| {
            let (images, indices) = batch?;
            Ok((images, indices.into_iter().map(|i| i as u32).collect()))
        });
        let features = extract_features::<Error>(backbone, batches, images.len(), |done| {
            let done = before + done;
            observer.event(&Event::Progress { task, done, total });
        })?;
        let shown = features.labels().iter().flat_map(|&image| {
            images.presence()[image as usize].map(|presence| match presence {
                Presence::Absent => Shown::Absent,
                Presence::Difficult => Shown::Difficult,
                Presence::Present => Shown::Present,
            })
        });
        let labels = ObjectLabels::new(shown.collect(), images.classes().len())?;
        Ok(Self { features, labels })
    }
}

impl SvmEvaluation {
    /// Writes a row per test image, with the decision value of each class.
    fn write_scores(&self, path: &Path, images: &dyn ImageSource) -> Result<()> {
        let in_memory = "a writer into memory does not fail";
        let mut csv = csv::Writer::from_writer(Vec::new());
        let header = ["image"]
            .into_iter()
            .chain(self.classes.iter().map(|c| &**c));
        csv.write_record(header).expect(in_memory);
        for i in 0..images.len() {
            let scores = self.result.classes.iter();
            let scores = scores.map(|class| class.scores[i].to_string());
            let row = [images.image_name(i)].into_iter().chain(scores);
            csv.write_record(row).expect(in_memory);
        }
        write_atomically(path, &csv.into_inner().expect(in_memory))
    }
}
