//! The runs behind the tables and figures. A run does not depend on the requested parts, so that
//! each is trained once.

use std::path::{Path, PathBuf};

use e2mc_loss::E2mcLossConfig;
use ssl_methods::criterion::CriterionConfig;

use super::published::WEIGHTS;
use super::{BaseName, Part, ReproductionPlan};
use crate::plan::{BranchPlan, CheckpointStart, CriterionName, Labels, MethodPlan, ProbePlan};
use crate::{
    Error, FinetunePlan, FinetuneSettings, FinetuneTask, ImagePlan, Plan, Preset, Result,
    preset_for,
};

/// A run with its own folder.
pub(super) struct Job {
    /// Name of its folder.
    pub(super) name: String,
    pub(super) work: Work,
}

pub(super) enum Work {
    Study(Box<Plan>),
    Finetune(Box<FinetunePlan>),
}

/// The start of a method and its preset.
struct Base {
    name: BaseName,
    start: CheckpointStart,
    preset: Preset,
}

/// Every run of the plan's parts in `root`, in order.
pub(super) fn jobs(plan: &ReproductionPlan, root: &Path) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    let mut bases = Vec::new();
    for (name, start) in &plan.bases {
        let needed = plan.parts.iter().any(|&part| uses(part, *name));
        if !needed {
            continue;
        }
        let base = match start {
            Some(start) => Base {
                name: *name,
                start: start.clone(),
                preset: expected(*name, start)?,
            },
            None => {
                let folder = format!("{}-base", name.name());
                let trained = root
                    .join(&folder)
                    .join("checkpoints/pretrained.safetensors");
                let mut scratch = adapted(name.small().pretraining(), plan);
                scratch.probes.clear();
                jobs.push(Job {
                    name: folder,
                    work: Work::Study(Box::new(scratch)),
                });
                Base {
                    name: *name,
                    start: CheckpointStart::new(trained),
                    preset: name.small(),
                }
            }
        };
        bases.push(base);
    }
    for seed in 0..plan.seeds {
        for base in &bases {
            of_base(plan, root, base, seed, &mut jobs)?;
        }
    }
    Ok(jobs)
}

/// Whether a part needs a base.
fn uses(part: Part, base: BaseName) -> bool {
    match part {
        Part::Table1 => true,
        Part::Table2 => base != BaseName::SimSiam,
        _ => base == BaseName::Swav,
    }
}

/// The preset of a checkpoint, which must belong to the expected method.
fn expected(name: BaseName, start: &CheckpointStart) -> Result<Preset> {
    let preset = preset_for(start)?;
    let found = preset.method();
    let fits = match name {
        BaseName::VicReg => matches!(found, MethodPlan::VicReg),
        BaseName::Swav => matches!(found, MethodPlan::Swav(_)),
        BaseName::SimSiam => matches!(found, MethodPlan::SimSiam),
    };
    match fits {
        true => Ok(preset),
        false => Err(Error::OtherMethod {
            path: start.path.clone(),
            found: found.name().into(),
            planned: name.small().method().name(),
        }),
    }
}

/// Half the epochs, rounded up. SwAV's main run is probed then, for Figure 4. Table D.2 trains as
/// long, which saves half of its time. The learning rate is constant, so a run of this length
/// equals the first half of the main run.
pub(super) fn halfway(epochs: usize) -> usize {
    epochs.div_ceil(2)
}

/// The runs of one base with one seed.
fn of_base(
    plan: &ReproductionPlan,
    root: &Path,
    base: &Base,
    seed: u64,
    jobs: &mut Vec<Job>,
) -> Result<()> {
    let asked = |parts: &[Part]| parts.iter().any(|part| plan.parts.contains(part));
    let is_swav = base.name == BaseName::Swav;
    let study = |what: &str, change: &dyn Fn(&mut Plan)| {
        let mut study = adapted(base.preset.continuation(base.start.clone()), plan);
        study.epochs = plan.epochs;
        study.seed = seed;
        change(&mut study);
        Job {
            name: folder(base.name, what, seed),
            work: Work::Study(Box::new(study)),
        }
    };
    let half = halfway(plan.epochs);
    // Every part starts from this run or is compared with it.
    jobs.push(study(MAIN, &|study| {
        study.probe_every = is_swav.then_some(half);
    }));
    if is_swav && asked(&[Part::Table3]) {
        jobs.push(study(CRITERIA, &|study| {
            study.branches = criteria(base.preset)
        }));
    }
    if is_swav && asked(&[Part::TableD2]) {
        jobs.push(study(WEIGHT_GRID, &|study| {
            study.epochs = half;
            study.branches = weights(&base.preset.e2mc());
            study.probes = one_percent(&study.probes);
        }));
    }
    if asked(&[Part::Table2]) && uses(Part::Table2, base.name) {
        for backbone in ["base", "continued", "e2mc"] {
            let start = match backbone {
                "base" => base.start.clone(),
                name => CheckpointStart::new(backbone_file(root, base.name, name, seed)),
            };
            jobs.push(Job {
                name: folder(base.name, &finetuned(backbone), seed),
                work: Work::Finetune(Box::new(finetuning(plan, base.preset, start, seed))),
            });
        }
    }
    Ok(())
}

/// The purpose of a run, a part of its folder's name.
pub(super) const MAIN: &str = "continued";
pub(super) const CRITERIA: &str = "criteria";
pub(super) const WEIGHT_GRID: &str = "weights";

pub(super) fn finetuned(backbone: &str) -> String {
    format!("{backbone}-finetuned")
}

/// Name of the folder of a run.
pub(super) fn folder(base: BaseName, what: &str, seed: u64) -> String {
    format!("{}-{what}-seed{seed}", base.name())
}

fn backbone_file(root: &Path, base: BaseName, branch: &str, seed: u64) -> PathBuf {
    let file = format!("backbone-{branch}.safetensors");
    root.join(folder(base, MAIN, seed)).join(file)
}

/// Name of the branch with these weights of E2MC.
pub(super) fn weights_branch(entropy: f64, covariance: f64) -> String {
    format!("e2mc-{entropy}-{covariance}")
}

/// Whether these weights of E2MC are those of the main run, the preset's.
pub(super) fn are_main_weights(e2mc: &E2mcLossConfig, entropy: f64, covariance: f64) -> bool {
    (entropy, covariance) == (e2mc.entropy_weight, e2mc.covariance_weight)
}

/// The other criteria of Table 3. E2MC and the branch without a criterion are in the main run.
fn criteria(preset: Preset) -> Vec<BranchPlan> {
    let names = [
        CriterionName::VcReg,
        CriterionName::Uniformity,
        CriterionName::Mmcr,
    ];
    names.map(|name| name.branch(&preset.e2mc())).to_vec()
}

/// Table D.2's weights, except the main run's.
fn weights(e2mc: &E2mcLossConfig) -> Vec<BranchPlan> {
    let others = WEIGHTS.iter().filter(|(entropy, covariance, _)| {
        !are_main_weights(e2mc, *entropy, *covariance) && (*entropy, *covariance) != (0.0, 0.0)
    });
    let branch = |&(entropy, covariance, _): &(f64, f64, f64)| {
        let config = e2mc.clone().with_entropy_weight(entropy);
        let config = CriterionConfig::E2mc(config.with_covariance_weight(covariance));
        BranchPlan::new(weights_branch(entropy, covariance), config)
    };
    others.map(branch).collect()
}

/// The probes with the fewest labels.
fn one_percent(probes: &[ProbePlan]) -> Vec<ProbePlan> {
    probes.first().cloned().into_iter().collect()
}

/// A plan with the requested images, device, batch size and draws.
fn adapted(mut study: Plan, plan: &ReproductionPlan) -> Plan {
    if let Some(folder) = &plan.data {
        study.data = Some(folder.clone());
        if let Some(shape) = plan.image_shape
            && study.nearest_preset().is_small()
        {
            study = study.for_small_images(shape);
        }
    }
    if let Some(draws) = plan.label_draws {
        for probe in study
            .probes
            .iter_mut()
            .filter(|probe| probe.labels.are_drawn())
        {
            probe.draws = draws;
        }
    }
    study.batch_size = plan.batch_size.unwrap_or(study.batch_size);
    study.device.clone_from(&plan.device);
    study
}

/// Draws of labels that are fine-tuned on for each seed. With one, chance moves the accuracy at 1%
/// by more than a point.
const FINETUNING_DRAWS: usize = 3;

/// Fine-tuning with 1% and 10% of the labels.
fn finetuning(
    plan: &ReproductionPlan,
    preset: Preset,
    checkpoint: CheckpointStart,
    seed: u64,
) -> FinetunePlan {
    let mut images = ImagePlan::of(preset);
    images.data.clone_from(&plan.data);
    images.device.clone_from(&plan.device);
    if let Some(shape) = plan.image_shape {
        images = images.for_images(shape);
    }
    let tasks = ["1%", "10%"].map(|amount| {
        let labels: Labels = amount.parse().expect("it is an amount");
        let nearest = labels.nearest_published().expect("it is no list");
        let mut settings = FinetuneSettings::of(preset, nearest);
        if preset.is_small() {
            // With the published batch size of 256, 1% of the labels give one step per epoch.
            settings.batch_size = 32;
            settings.epochs = 10;
            // Tests would take most of the time. The tables have the accuracy of the last epoch.
            settings.test_every = settings.epochs;
            settings.backbone_rate = 0.01;
            settings.head_rate = 0.1;
        }
        FinetuneTask {
            labels,
            draws: FINETUNING_DRAWS,
            settings,
        }
    });
    FinetunePlan {
        checkpoint,
        recipe: images.training_recipe(),
        images,
        tasks: tasks.to_vec(),
        seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(parts: &[Part]) -> ReproductionPlan {
        ReproductionPlan {
            parts: parts.to_vec(),
            data: None,
            image_shape: None,
            bases: BaseName::ALL.map(|name| (name, None)).to_vec(),
            seeds: 2,
            epochs: 10,
            batch_size: None,
            label_draws: None,
            device: "flex".into(),
        }
    }

    fn names(parts: &[Part]) -> Vec<String> {
        let jobs = jobs(&plan(parts), Path::new("root")).unwrap();
        jobs.into_iter().map(|job| job.name).collect()
    }

    #[test]
    fn a_part_has_the_runs_that_it_needs() {
        let main = ["swav-base", "swav-continued-seed0", "swav-continued-seed1"];
        assert_eq!(names(&[Part::Figure4]), main);
        let criteria = [
            "swav-base",
            "swav-continued-seed0",
            "swav-criteria-seed0",
            "swav-continued-seed1",
            "swav-criteria-seed1",
        ];
        assert_eq!(names(&[Part::Table3, Part::Figure3]), criteria);
        assert_eq!(names(&[Part::Table1]).len(), 3 + 2 * 3);
        let all = names(&Part::ALL);
        assert_eq!(all.len(), 3 + 2 * (3 + 2 + 2 * 3));
        // The run does not depend on the requested parts.
        for name in criteria {
            assert!(all.contains(&name.to_string()), "{name}");
        }
    }

    #[test]
    fn the_grid_has_the_weights_that_the_main_run_has_not() {
        let branches = weights(&Preset::SwavSmall.e2mc());
        assert_eq!(branches.len(), WEIGHTS.len() - 2);
        assert!(branches.iter().any(|branch| branch.name == "e2mc-0.1-25"));
        assert!(!branches.iter().any(|branch| branch.name == "e2mc-1-25"));
    }
}
