use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use e2mc_data::source::{DataSet, ImageSource, Subset};
use e2mc_data::{FailedRead, Loader};
use e2mc_eval::{Features, HostMemory, LabelFraction, extract_features};
use e2mc_loss::CompactSpace;
use e2mc_resnet::{Checkpoint, Stem, save_backbone};
use indicatif::MultiProgress;
use ssl_methods::BaseMethod;
use ssl_methods::swav::{Swav, SwavConfig};

use crate::config::MethodConfig;
use crate::failed_reads::{FailedReads, could_not_be_read};
use crate::images::{self, evaluation_loader};
use crate::memory::Need;
use crate::metrics::MetricsFile;
use crate::probes::{self, FractionProbes};
use crate::progress::Progress;
use crate::report::{Page, report};
use crate::results::{Branch, StudyResults};
use crate::run_folder::{RunFolder, write_atomically, write_json};
use crate::{EpochState, Error, StepMetrics, StudyConfig, Training, TrainingConfig, parse_device};

/// Images whose embeddings the report shows.
const MARGINAL_IMAGES: usize = 2000;

/// A trained method and its steps.
type Trained<M> = (M, Vec<StepMetrics>);

/// Loads the method anew from its checkpoint.
type Load<M> = dyn Fn(&Device) -> Result<M, Error> + Send + Sync;

/// A study that is ready to run: everything that can be wrong with options and files has been checked.
pub struct Study<M> {
    config: StudyConfig,
    device: Device,
    loader: Loader,
    /// What the probes learn from and are judged by; none without labels.
    probed: Option<[Loader; 2]>,
    /// The images whose embeddings the report shows.
    shown: Loader,
    criterion: e2mc_loss::E2mcLoss,
    load: Box<Load<M>>,
    /// What the user should know before a long run.
    notes: Vec<String>,
    failed: FailedReads,
    bars: MultiProgress,
}

impl Study<Swav> {
    /// A study of SwAV. Reads the checkpoint and the images; writes nothing.
    ///
    /// # Errors
    /// If an option is outside its range, or the checkpoint or the data cannot be used.
    pub fn swav(config: StudyConfig) -> Result<Self, Error> {
        config.validate()?;
        let MethodConfig::Swav {
            stem_stride,
            freeze_prototypes_epochs,
            queue,
        } = config.method.clone();
        let checkpoint = Checkpoint::open(&config.checkpoint)?;
        let mut swav = SwavConfig::from_checkpoint(&checkpoint)?;
        if let Stem::Small { stride, .. } = &mut swav.backbone.stem {
            *stride = stem_stride;
        }
        swav.queue = queue;
        swav.full_crops = config.recipe.views.first().map_or(0, |view| view.count);
        Self::new(config, move |device, steps_per_epoch| {
            let mut swav = swav.clone();
            swav.freeze_prototypes_steps = freeze_prototypes_epochs * steps_per_epoch;
            Ok(Swav::from_checkpoint(&checkpoint, &swav, device)?)
        })
    }
}

impl<M: BaseMethod> Study<M> {
    /// A study of the method that `load` loads from the checkpoint, given a device and the steps in an epoch. It is called
    /// once per branch, since clones of a Burn module share the running statistics of batch normalisation.
    fn new(
        config: StudyConfig,
        load: impl Fn(&Device, usize) -> Result<M, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let device = parse_device(&config.device)?;
        let DataSet {
            train,
            test,
            problems,
        } = images::open(&config)?;
        let recipe = config.recipe.clone();
        let loader = Loader::new(train.clone(), recipe, config.batch_size, config.seed)?
            .with_workers((available_parallelism().map_or(1, usize::from) / 2).max(1))
            .with_failure_limit(config.failure_limit)?;
        let steps = loader.steps_per_epoch();
        let method = load(&device, steps)?;
        images::check_channels(method.backbone(), &config)?;
        method.check_batch_size(config.batch_size)?;
        let mut notes: Vec<String> = problems.iter().map(ToString::to_string).collect();
        notes.extend(method.warning(config.batch_size));
        if let ("flex", Some(memory)) = (config.device.as_str(), HostMemory::now()) {
            let need = Need::of(&method, &config.recipe, 2);
            let images = config.micro_batch.unwrap_or(config.batch_size);
            notes.extend(need.check(images.min(config.batch_size), config.batch_size, memory)?);
        }

        let shown = test.clone().unwrap_or_else(|| train.clone());
        let count = shown.len().min(MARGINAL_IMAGES);
        let evenly = (0..count).map(|i| i * shown.len() / count).collect();
        // Few images may hold more than their share of the unreadable ones.
        let shown = evaluation_loader(Arc::new(Subset::new(shown, evenly)), &config, 1.0)?;
        let probed_loader = |source| evaluation_loader(source, &config, config.failure_limit);
        let probed = match test {
            Some(test) => Some([probed_loader(train)?, probed_loader(test)?]),
            None => {
                notes.push(
                    "the images have no labels, so the backbones are not probed; expected a folder for each class".into(),
                );
                None
            }
        };
        Ok(Self {
            criterion: config.criterion.try_init()?,
            config,
            device,
            loader,
            probed,
            shown,
            load: Box::new(move |device| load(device, steps)),
            notes,
            failed: FailedReads::default(),
            bars: MultiProgress::new(),
        })
    }

    /// Runs the study and writes everything to the folder `output`. If it holds an unfinished run of the same
    /// configuration, that one goes on from its last whole epoch, with the same numbers as if it had not stopped.
    ///
    /// # Errors
    /// If the folder holds something else, a file cannot be written, or a training diverges.
    pub fn run(&self, output: &Path) -> Result<StudyResults, Error> {
        let start = Instant::now();
        let folder = RunFolder::open(output, &self.config)?;
        let tested = self.probed.as_ref().map(|[_, test]| test.source().len());
        println!(
            "{} images to train on, {} to test on, {} epochs of {} steps, device {}; run folder {}",
            self.loader.source().len(),
            tested.unwrap_or(0),
            self.config.epochs,
            self.loader.steps_per_epoch(),
            self.config.device,
            output.display()
        );
        for note in &self.notes {
            eprintln!("note: {note}");
        }

        let base = (self.load)(&self.device)?;
        let mut results = vec![(Branch::Base, self.probe(&base, Branch::Base)?)];
        let before = self.compact_embeddings(&base)?;
        let mut after = before.clone();
        let mut steps = Vec::new();
        for (branch, (method, metrics)) in self.train_branches(&folder)? {
            print_training(branch, &metrics);
            steps.extend(metrics);
            results.push((branch, self.probe(&method, branch)?));
            method.save(folder.path(&format!("checkpoints/{}.safetensors", branch.key())))?;
            if branch == Branch::E2mc {
                save_backbone(method.backbone(), folder.path("backbone.safetensors"))?;
                after = self.compact_embeddings(&method)?;
            }
        }

        let [(_, base), (_, continued), (_, e2mc)] = &results[..] else {
            unreachable!("one result per branch");
        };
        let results = StudyResults {
            e2mc_against_continued: probes::compare(continued, e2mc, self.config.seed)?,
            continued_against_base: probes::compare(base, continued, self.config.seed)?,
            probes: results,
        };
        write_json(&folder.path("results.json"), &results)?;
        let failed = self.failed.all();
        let page = report(&Page {
            config: &self.config,
            results: &results,
            steps: &steps,
            before,
            after,
            notes: &self.notes,
            failed: &failed,
        });
        write_atomically(&folder.path("report.html"), page.as_bytes())?;
        if self.probed.is_some() {
            println!("\n{}", results.table());
        }
        if !failed.is_empty() {
            println!("{}; the report names them", could_not_be_read(failed.len()));
        }
        println!(
            "done in {:.0} s; backbone {}, report {}",
            start.elapsed().as_secs_f64(),
            folder.path("backbone.safetensors").display(),
            folder.path("report.html").display()
        );
        Ok(results)
    }

    /// Trains both branches: on the CPU side by side, each on its share of the cores, since small networks leave cores idle
    /// (docs/architecture.md); elsewhere one after the other.
    fn train_branches(&self, folder: &RunFolder) -> Result<[(Branch, Trained<M>); 2], Error> {
        let branches = [Branch::Continued, Branch::E2mc];
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let [continued, e2mc] = if self.config.device == "flex" && cores > 1 {
            let pool = || {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(cores / 2);
                pool.build().expect("the system can start threads")
            };
            std::thread::scope(|scope| {
                let training = branches.map(|branch| {
                    let pool = pool();
                    scope.spawn(move || pool.install(|| self.train(branch, folder)))
                });
                training.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            })
        } else {
            branches.map(|branch| self.train(branch, folder))
        };
        Ok([(Branch::Continued, continued?), (Branch::E2mc, e2mc?)])
    }

    /// Continues the checkpoint with or without E2MC, or goes on where an interrupted run stopped.
    fn train(&self, branch: Branch, folder: &RunFolder) -> Result<Trained<M>, Error> {
        let device = self.device.clone().autodiff();
        let config = TrainingConfig {
            branch: branch.key(),
            epochs: self.config.epochs,
            learning_rate: self.config.learning_rate,
            optimizer: self.config.optimizer.clone(),
            criterion: self.criterion.clone(),
            train_with_criterion: branch == Branch::E2mc,
            micro_batch: self.config.micro_batch,
        };
        let checkpoints = folder.path("checkpoints");
        let mut training = Training::new((self.load)(&device)?, config)?;
        if let Some(state) = EpochState::newest(&checkpoints, branch.key())? {
            training = state.restore(training)?;
        }
        let first = training.iteration();
        let (mut file, mut metrics) = MetricsFile::open(
            folder.path(&format!("metrics-{}.jsonl", branch.key())),
            first,
        )?;
        for step in &metrics {
            self.report_failures(self.loader.source(), &step.failed_reads);
        }

        let steps = self.config.epochs * self.loader.steps_per_epoch();
        let title = format!("training, {}", branch.title());
        let progress = Progress::new(&self.bars, title, steps, first);
        while !training.is_finished() {
            training = training.epoch(&self.loader, &device, |step| {
                file.push(step)?;
                self.report_failures(self.loader.source(), &step.failed_reads);
                progress.step(step);
                metrics.push(step.clone());
                Ok(())
            })?;
            EpochState::save(&training, &checkpoints)?;
        }
        progress.finish();
        Ok((training.into_method(), metrics))
    }

    /// Linear probes on the features of a method's backbone; none without labels.
    fn probe(&self, method: &M, branch: Branch) -> Result<Vec<FractionProbes>, Error> {
        let Some([train, test]) = &self.probed else {
            return Ok(Vec::new());
        };
        let all = train.source().len() + test.source().len();
        let title = format!("features, {}", branch.title());
        let progress = Progress::new(&self.bars, title, all, 0);
        let train_features = self.features(method, train, |done| progress.set(done))?;
        let offset = train.source().len();
        let test_features = self.features(method, test, |done| progress.set(offset + done))?;
        progress.finish();

        let count = LabelFraction::ALL.map(|fraction| probes::draws(fraction, &self.config));
        let title = format!("probes, {}", branch.title());
        let progress = Progress::new(&self.bars, title.clone(), count.iter().sum(), 0);
        let probes = probes::probe_all(
            &train_features,
            &test_features,
            &self.config,
            &self.device,
            || progress.tick(),
        )?;
        progress.finish();
        let means = probes.iter().map(|probe| {
            let mean = probe.summary().map_or(f64::NAN, |summary| summary.mean);
            format!("{:.1}% with {} of the labels", mean, probe.fraction)
        });
        println!("{title:<20} {}", means.collect::<Vec<_>>().join(", "));
        Ok(probes)
    }

    /// What a method's backbone makes of labelled images.
    fn features(
        &self,
        method: &M,
        loader: &Loader,
        progress: impl FnMut(usize),
    ) -> Result<Features, Error> {
        let source = loader.source();
        let labels = source.labels().expect("what is probed has labels");
        let batches = self.evaluation_batches(loader).map(|batch| {
            let (images, indices) = batch?;
            Ok((images, indices.iter().map(|&index| labels[index]).collect()))
        });
        extract_features::<Error>(method.backbone(), batches, source.classes().len(), progress)
    }

    /// The embeddings of some images on the criterion's compact space, `[n, d]`.
    fn compact_embeddings(&self, method: &M) -> Result<Tensor<2>, Error> {
        let method = method.valid();
        let embeddings: Vec<Tensor<2>> = self
            .evaluation_batches(&self.shown)
            .map(|batch| Ok(method.project(batch?.0)))
            .collect::<Result<_, Error>>()?;
        let space: CompactSpace = self.config.criterion.space;
        Ok(space.transform(Tensor::cat(embeddings, 0)))
    }

    /// The images of a loader of evaluation, and their indices.
    fn evaluation_batches(
        &self,
        loader: &Loader,
    ) -> impl Iterator<Item = Result<(Tensor<4>, Vec<usize>), Error>> {
        loader.epoch(0, &self.device.clone().inner()).map(|batch| {
            let mut batch = batch?;
            self.report_failures(loader.source(), &batch.failures);
            Ok((batch.views.remove(0), batch.indices))
        })
    }

    /// Names the images that could not be read, each the first time.
    fn report_failures(&self, source: &dyn ImageSource, failures: &[FailedRead]) {
        for failure in self.failed.add(source.name(), failures) {
            self.bars.suspend(|| eprintln!("{failure}"));
        }
    }
}

/// One line on what a training did to its terms.
fn print_training(branch: Branch, metrics: &[StepMetrics]) {
    let (Some(first), Some(last)) = (metrics.first(), metrics.last()) else {
        return;
    };
    println!(
        "{:<20} base loss {:.3} -> {:.3}, entropy {:.3} -> {:.3}, covariance {:.4} -> {:.4}",
        format!("training, {}", branch.title()),
        first.base_loss(),
        last.base_loss(),
        first.entropy,
        last.entropy,
        first.covariance,
        last.covariance
    );
}
