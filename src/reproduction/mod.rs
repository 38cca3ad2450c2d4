//! The paper's tables and figures in miniature, beside the published ones.
//!
//! Each consists of runs: studies and fine-tunings in separate folders under one parent. A finished
//! run is read and an unfinished one is resumed, so a stopped reproduction can be continued.

mod direction;
mod figures;
mod found;
mod jobs;
mod part;
mod published;
mod settings;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use direction::Direction;
pub use part::Part;
pub use settings::{BaseName, ReproductionPlan};

use crate::files::{create_dir, read_json, write_atomically, write_json};
use crate::report::{Section, sections_page};
use crate::study::curve_points;
use crate::{
    Error, Event, Observer, Plan, Result, RunOptions, SavePlan, StudyResults, run, run_finetuning,
};
use found::Found;
use jobs::{Job, Work, jobs};

/// Runs everything that the plan's parts need in folders under `output`. Writes `report.html` and
/// `results.json` there after each run.
///
/// # Errors
///
/// If a base or the images cannot be used, a folder contains another run, or a run fails.
/// [`Error::Stopped`] if the observer requests it; the same call then continues.
pub fn reproduce(
    plan: &ReproductionPlan,
    save: SavePlan,
    output: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<Section>> {
    plan.validate()?;
    let jobs = jobs(plan, output)?;
    create_dir(output)?;
    let options = RunOptions {
        cache: plan.data.as_ref().map(|_| output.join("cache")),
        save,
        other_devices: false,
    };
    let mut found = Found {
        root: output.to_path_buf(),
        seeds: plan.seeds,
        epochs: plan.epochs,
        studies: BTreeMap::new(),
        curves: BTreeMap::new(),
        finetunings: BTreeMap::new(),
    };
    let total = jobs.len();
    for (done, job) in jobs.into_iter().enumerate() {
        let name = &job.name;
        observer.event(&Event::Decision(&format!(
            "run {} of {total}: {name}",
            done + 1
        )));
        run_job(job, &options, output, observer, &mut found)?;
        write(plan, &found, output, total - done - 1)?;
    }
    sections(plan, &found)
}

fn run_job(
    job: Job,
    options: &RunOptions,
    output: &Path,
    observer: &Arc<dyn Observer>,
    found: &mut Found,
) -> Result<()> {
    let folder = output.join(&job.name);
    // A user resumes with the parent's path.
    let of_parent = |error| match error {
        Error::Stopped { .. } => Error::Stopped {
            folder: output.to_path_buf(),
        },
        error => error,
    };
    match job.work {
        Work::Study(study) => {
            let branches: Vec<String> = study.branches.iter().map(|b| b.name.clone()).collect();
            let results = match finished(&folder, &study)? {
                Some(results) => results,
                None => {
                    run(*study, options.clone(), &folder, observer.clone()).map_err(of_parent)?
                }
            };
            for branch in branches {
                let points = curve_points(&folder, &branch)?;
                found.curves.insert((job.name.clone(), branch), points);
            }
            found.studies.insert(job.name, results);
        }
        Work::Finetune(finetuning) => {
            let results = run_finetuning(&finetuning, &folder, observer).map_err(of_parent)?;
            found.finetunings.insert(job.name, results);
        }
    }
    Ok(())
}

/// The results of a study finished by an earlier call.
fn finished(folder: &Path, study: &Plan) -> Result<Option<StudyResults>> {
    let file = folder.join("results.json");
    if !(file.exists() && folder.join("report.html").exists()) {
        return Ok(None);
    }
    if Plan::of_run(folder)? != *study {
        return Err(Error::RunFolder {
            path: folder.to_path_buf(),
            problem: "it contains a finished run with other settings; repeat that command, or \
                     choose another folder"
                .into(),
        });
    }
    read_json(&file).map(Some)
}

fn sections(plan: &ReproductionPlan, found: &Found) -> Result<Vec<Section>> {
    let section = |part: &Part| match part {
        Part::Table1 => tables::table_1(found),
        Part::Table2 => tables::table_2(found),
        Part::Table3 => tables::table_3(found),
        Part::TableD1 => tables::table_d1(found),
        Part::TableD2 => tables::table_d2(found),
        Part::Figure2 => figures::figure_2(found),
        Part::Figure3 => figures::figure_3(found),
        Part::Figure4 => figures::figure_4(found),
    };
    plan.parts.iter().map(section).collect()
}

fn write(plan: &ReproductionPlan, found: &Found, output: &Path, left: usize) -> Result<()> {
    let sections = sections(plan, found)?;
    let images = match &plan.data {
        Some(folder) => folder.display().to_string(),
        None => "The embedded images of Fashion-MNIST (28 x 28, 10 classes)".into(),
    };
    let subtitle = format!(
        "{images}; {} epochs of continued training, {} seeds. The paper's numbers are for ImageNet \
        with ResNet-50, so only the directions are comparable, not the levels.",
        plan.epochs, plan.seeds
    );
    let running = (left > 0).then(|| {
        format!("Not finished: {left} runs are left. The page is written again after each run.")
    });
    let page = sections_page(
        "The paper in miniature",
        &subtitle,
        running.as_deref(),
        &sections,
    );
    write_atomically(&output.join("report.html"), page.as_bytes())?;
    write_json(&output.join("results.json"), &sections)
}
