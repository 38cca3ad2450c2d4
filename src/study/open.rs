use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;

use burn::tensor::{DType, Device};
use e2mc_data::Loader;
use e2mc_data::source::{DataSet, ImageSource};
use ssl_methods::BaseMethod;

use super::at_once::images_at_once;
use super::backbone::{open_checkpoint, stem_decision};
use super::curve::Curve;
use super::device_memory::DeviceMemory;
use super::embeddings::shown_images;
use super::memory::Need;
use super::monitor::Monitor;
use super::{RunOptions, StartMethod, Study, data};
use crate::plan::{Start, probe_recipe};
use crate::probing::{ProbeImages, check_channels};
use crate::run::{FailedReads, RunFingerprint, file_digest, list_digests};
use crate::{Error, HostMemory, Observer, Plan, Result, parse_devices, seeded};

impl<M: StartMethod> Study<M> {
    /// Opens a study of the plan's method. Reads the checkpoint and the images' names. Writes only
    /// the cache.
    ///
    /// # Errors
    ///
    /// If a setting is out of range, or the checkpoint or the data cannot be used.
    pub fn open(plan: Plan, options: RunOptions, observer: Arc<dyn Observer>) -> Result<Self> {
        plan.validate()?;
        let checkpoint = match &plan.start {
            Start::Scratch(_) => None,
            Start::Checkpoint(start) => Some(open_checkpoint(start)?),
        };
        if let Some(checkpoint) = &checkpoint
            && checkpoint.layout() != plan.method.layout()
        {
            return Err(Error::OtherMethod {
                path: checkpoint.path().to_path_buf(),
                found: checkpoint.layout().to_string(),
                planned: plan.method.name(),
            });
        }
        let (mut decisions, mut notes) = (Vec::new(), Vec::new());
        let (mut first_epoch, mut momentum, mut digest) = (0, Vec::new(), None);
        if let (Some(checkpoint), Start::Checkpoint(start)) = (&checkpoint, &plan.start) {
            decisions.extend(checkpoint.decisions());
            decisions.extend(stem_decision(checkpoint, start)?);
            digest = Some(file_digest(&start.path)?);
            if start.resume {
                first_epoch = checkpoint.epoch().unwrap_or(0) as usize;
                if plan.has_momentum() {
                    momentum = checkpoint.optimizer_momentum()?;
                }
                let what = match momentum.len() {
                    0 => "the file has no momentum, so the optimizer starts without".into(),
                    n => format!("the optimizer starts with the momentum of {n} parameters"),
                };
                decisions.push(format!(
                    "Training is resumed at epoch {first_epoch}; {what}."
                ));
            }
        }
        let load_plan = plan.clone();
        let mut study = Self::new(plan, options, observer, move |device, steps_per_epoch| {
            M::start(&load_plan, checkpoint.as_ref(), steps_per_epoch, device)
        })?;
        decisions.append(&mut study.decisions);
        notes.append(&mut study.notes);
        study.fingerprint.checkpoint = digest;
        Ok(Self {
            decisions,
            notes,
            first_epoch,
            momentum,
            ..study
        })
    }
}

impl<M: BaseMethod> Study<M> {
    /// Opens a study of the method that `load` creates, given a device and the steps per epoch.
    /// `load` is called once per branch, since clones of a Burn module share the running statistics
    /// of batch normalization. Random weights come from the plan's seed.
    ///
    /// # Errors
    ///
    /// If a setting is out of range, or the data cannot be used.
    pub fn new(
        plan: Plan,
        options: RunOptions,
        observer: Arc<dyn Observer>,
        load: impl Fn(&Device, usize) -> Result<M> + Send + Sync + 'static,
    ) -> Result<Self> {
        plan.validate()?;
        options.save.validate()?;
        if plan.prepare && options.cache.is_none() {
            return Err(Error::invalid("prepare", true, "a folder for the cache"));
        }
        let devices = parse_devices(&plan.device)?;
        let device = devices[0].clone();
        if !devices
            .iter()
            .all(|d| d.supports_dtype(plan.precision.dtype()))
        {
            let expected = format!("f32: {} does not compute in it", plan.device);
            return Err(Error::invalid("precision", plan.precision, expected));
        }
        let cache = options.cache.as_deref();
        let images = data::open(plan.data.as_deref(), cache, &observer)?;
        let summary = images.summary().clone();
        let DataSet {
            train,
            test,
            problems,
            ..
        } = images;
        let fingerprint = RunFingerprint {
            e2mc: env!("CARGO_PKG_VERSION").into(),
            checkpoint: None,
            lists: list_digests(plan.probes.iter().map(|probe| &probe.labels))?,
            train: train.fingerprint(),
            test: test.as_ref().map(|test| test.fingerprint()),
        };

        let trainings = side_by_side(&plan);
        let loader = |source| {
            let loader = Loader::new(source, plan.recipe.clone(), plan.batch_size, plan.seed)?
                .with_workers((cores() / trainings).max(1))
                .with_failure_limit(plan.failure_limit)?;
            // On GPUs and servers, this takes a quarter of the transfers; WGSL has no u8. On the CPU
            // there are none.
            let has_u8 = devices.iter().all(|d| d.supports_dtype(DType::U8));
            let transfers = plan.device != "flex";
            let loader = loader.with_u8_batches(transfers && has_u8);
            Ok::<_, Error>(loader.with_upload_ahead(transfers))
        };
        let mut training = loader(train.clone())?;
        let steps = training.steps_per_epoch();
        let seed = plan.seed;
        let start = move |device: &Device| seeded(device, seed, || load(device, steps));
        let method = start(&device)?;
        check_channels(method.backbone(), plan.recipe.channels())?;
        check_channels(method.backbone(), plan.evaluation.channels())?;
        method.check_batch_size(plan.batch_size)?;
        check_parts(&method, &plan)?;

        let mut notes: Vec<String> = problems.iter().map(ToString::to_string).collect();
        notes.extend(method.warning(plan.batch_size));
        if plan.sync_batch_norm && devices.len() == 1 {
            notes.push("there is one device, so batch normalization has none to share with".into());
        }
        let probe_problem = summary.probe_problem().filter(|_| !plan.probes.is_empty());
        let probed = match (&test, &probe_problem) {
            (Some(test), None) if !plan.probes.is_empty() => {
                let small = plan.nearest_preset().is_small();
                Some(ProbeImages::new(
                    [train.clone(), test.clone()],
                    &plan.evaluation,
                    probe_recipe(&plan.evaluation, small),
                    plan.probe_crops,
                    plan.failure_limit,
                )?)
            }
            _ => None,
        };
        let need = (plan.device == "flex").then(|| {
            let count = probed.as_ref().map_or(0, ProbeImages::in_memory);
            Need::of(&method, &plan.recipe, &training, trainings, count)
        });
        let at_once = images_at_once(&method, &plan, need.as_ref())?;
        if let (Some(need), Some(memory)) = (&need, HostMemory::now()) {
            notes.extend(need.check(at_once, plan.batch_size, memory)?);
        }
        if need.is_none() {
            let memory = DeviceMemory::of_plan(&method, &plan, at_once);
            notes.extend(memory.map(|memory| memory.note(at_once)));
        }
        let labeled = train.labels().is_some();
        let monitor = match plan.monitor_every {
            Some(every) if labeled => Some(Monitor::new(train.clone(), &plan.evaluation, every)?),
            Some(_) => {
                notes.push("training is not monitored: the images have no labels".into());
                None
            }
            None => None,
        };
        let curve = match (plan.probe_every, &probed) {
            (Some(every), Some(images)) => Some(Curve::new(&plan, images, every)?),
            (Some(_), None) => {
                notes.push("nothing is probed during training: there are no probes".into());
                None
            }
            (None, _) => None,
        };
        let shown = shown_images(&train, test.as_ref(), &plan.evaluation)?;

        // Done last, since it decodes every image.
        if let (true, Some(folder), Some(cache)) = (plan.prepare, &plan.data, cache) {
            training = loader(data::prepared(train, folder, cache, &*observer)?)?;
        }
        Ok(Self {
            decisions: summary.lines(),
            notes,
            device,
            devices,
            loader: training,
            at_once,
            probed,
            shown,
            monitor,
            curve,
            start: Box::new(start),
            first_epoch: 0,
            momentum: Vec::new(),
            fingerprint,
            failed: FailedReads::default(),
            report: Mutex::new(()),
            plan,
            options,
            observer,
        })
    }
}

/// Checks that the method has the parts with their own learning rate.
fn check_parts(method: &impl BaseMethod, plan: &Plan) -> Result<()> {
    let parts = method.param_groups();
    for part in plan.optimizer.part_rates.keys() {
        if !parts.iter().any(|known| known.name == part) {
            let known: Vec<&str> = parts.iter().map(|part| part.name).collect();
            let expected = format!("one of {}'s: {}", method.name(), known.join(", "));
            return Err(Error::invalid("part_rates", part, expected));
        }
    }
    Ok(())
}

pub(super) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Number of branches trained in parallel. On the CPU, small networks leave cores idle between
/// Burn's operations, so branches share the cores (docs/architecture.md). One branch is enough for
/// a GPU.
pub(super) fn side_by_side(plan: &Plan) -> usize {
    match plan.device.as_str() {
        "flex" => plan.branches.len().min(cores()).max(1),
        _ => 1,
    }
}
