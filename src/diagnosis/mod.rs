//! Measures a checkpoint's embeddings without training, and describes what the criterion would
//! change.

mod findings;
mod uniform;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;
use ssl_methods::barlow_twins::BarlowTwins;
use ssl_methods::simsiam::SimSiam;
use ssl_methods::swav::Swav;
use ssl_methods::vicreg::VicReg;

use crate::files::{create_dir, write_json};
use crate::plan::{CheckpointStart, MethodPlan};
use crate::probing::{Extraction, check_channels};
use crate::study::{embed, open_checkpoint, open_images, shown_images, stem_decision};
use crate::{
    EmbeddingMeasures, EmbeddingSummary, Error, Event, ImagePlan, Observer, Plan, Result,
    StartMethod, parse_device, preset_for, seeded,
};
use findings::findings;
use uniform::uniform_embeddings;

/// The result of [`diagnose`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The base method.
    pub method: &'static str,
    /// The embeddings and features of the images.
    pub embeddings: EmbeddingSummary,
    /// Independent uniform embeddings of the same shape: the criterion's optimum. Their features
    /// are meaningless.
    pub uniform: EmbeddingMeasures,
    /// What the criterion would change, and what the recorded runs show, as sentences.
    pub findings: Vec<String>,
}

/// Measures the embeddings of a checkpoint on up to 5000 images, labeled or not: the test images if
/// there are any. If `output` is given, writes results.json to it.
///
/// # Errors
///
/// If the checkpoint does not contain a whole method, or the images cannot be used.
pub fn diagnose(
    start: &CheckpointStart,
    images: &ImagePlan,
    output: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<Diagnosis> {
    let plan = preset_for(start)?.continuation(start.clone());
    let found = match plan.method {
        MethodPlan::Swav(_) => of::<Swav>(&plan, start, images, observer),
        MethodPlan::VicReg => of::<VicReg>(&plan, start, images, observer),
        MethodPlan::SimSiam => of::<SimSiam>(&plan, start, images, observer),
        MethodPlan::BarlowTwins => of::<BarlowTwins>(&plan, start, images, observer),
    }?;
    if let Some(output) = output {
        create_dir(output)?;
        write_json(&output.join("results.json"), &found)?;
    }
    Ok(found)
}

fn of<M: StartMethod>(
    plan: &Plan,
    start: &CheckpointStart,
    images: &ImagePlan,
    observer: &Arc<dyn Observer>,
) -> Result<Diagnosis> {
    let device = parse_device(&images.device)?;
    let checkpoint = open_checkpoint(start)?;
    let decisions = checkpoint.decisions().into_iter();
    for line in decisions.chain(stem_decision(&checkpoint, start)?) {
        observer.event(&Event::Decision(&line));
    }
    // Nothing is trained, so the number of steps is irrelevant.
    let method = seeded(&device, 0, || M::start(plan, Some(&checkpoint), 1, &device))?;
    check_channels(method.backbone(), images.evaluation.channels())?;
    let data = open_images(images.data.as_deref(), None, observer)?;
    for line in data.summary().lines() {
        observer.event(&Event::Decision(&line));
    }
    for problem in &data.problems {
        observer.event(&Event::Note(&problem.to_string()));
    }
    let shown = shown_images(&data.train, data.test.as_ref(), &images.evaluation)?;
    let extraction = Extraction {
        device: &device,
        observer: &**observer,
        task: "embeddings",
        done_and_total: [0, shown.source().len()],
        folder: &start.path,
        epoch: 0,
        failed: &|images| {
            for image in images {
                observer.event(&Event::FailedImage(image));
            }
        },
    };
    let space = plan.method.compact_space();
    let (z, y) = embed(&method, &shown, &extraction)?;
    let [n, _] = z.dims();
    if n < 2 {
        return Err(Error::invalid(
            "data",
            format!("a folder of {n} image"),
            "at least 2 images",
        ));
    }
    let embeddings = EmbeddingSummary::of(&z, &y, space);
    let shape = [embeddings.block_images, embeddings.dimensions];
    let uniform = uniform_embeddings(shape, space, &Device::default());
    let uniform = EmbeddingMeasures::of(uniform.clone(), uniform, space);
    Ok(Diagnosis {
        method: plan.method.name(),
        findings: findings(&plan.method, &embeddings, &uniform),
        embeddings,
        uniform,
    })
}
