use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use e2mc_data::{ImageSet, Loader, fashion_mnist};
use e2mc_eval::{LabelFraction, extract_features};
use e2mc_loss::CompactSpace;
use e2mc_resnet::{Checkpoint, Stem, save_backbone};
use indicatif::MultiProgress;
use serde::{Deserialize, Serialize};
use ssl_methods::BaseMethod;
use ssl_methods::swav::{Swav, SwavConfig};

use crate::config::MethodConfig;
use crate::metrics::MetricsFile;
use crate::probes::{self, FractionComparison, FractionProbes};
use crate::progress::Progress;
use crate::report::report;
use crate::run_folder::{RunFolder, write_atomically, write_json};
use crate::table::table;
use crate::{EpochState, Error, StepMetrics, StudyConfig, Training, TrainingConfig, parse_device};

/// Images per batch when features are extracted.
const EXTRACTION_BATCH: usize = 500;
/// Test images whose embeddings the report shows.
const MARGINAL_IMAGES: usize = 2000;

/// The three backbones that a study compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// The checkpoint as it came.
    Base,
    /// Continued with the base loss alone.
    Continued,
    /// Continued with the base loss and E2MC.
    E2mc,
}

impl Branch {
    /// All, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Base, Self::Continued, Self::E2mc];

    /// Name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Continued => "continued",
            Self::E2mc => "e2mc",
        }
    }

    /// Name in tables and figures.
    pub fn title(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Continued => "continued",
            Self::E2mc => "+ E2MC",
        }
    }
}

/// What a study found; `results.json` of the run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyResults {
    /// Probes of each branch, in the order of [`Branch::ALL`].
    pub probes: Vec<(Branch, Vec<FractionProbes>)>,
    /// The branch with E2MC against the continued one.
    pub e2mc_against_continued: Vec<FractionComparison>,
    /// The continued branch against the base.
    pub continued_against_base: Vec<FractionComparison>,
}

impl StudyResults {
    /// The results as a table for the terminal.
    pub fn table(&self) -> String {
        table(self)
    }
}

/// A trained method and its steps.
type Trained<M> = (M, Vec<StepMetrics>);

/// Loads the method anew from its checkpoint.
type Load<M> = dyn Fn(&Device) -> Result<M, Error> + Send + Sync;

/// A study that is ready to run: everything that can be wrong with options and files has been checked.
pub struct Study<M> {
    config: StudyConfig,
    device: Device,
    train: Arc<ImageSet>,
    test: ImageSet,
    loader: Loader,
    criterion: e2mc_loss::E2mcLoss,
    load: Box<Load<M>>,
    /// What the user should know before a long run.
    warning: Option<String>,
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
        } = config.method.clone();
        let checkpoint = Checkpoint::open(&config.checkpoint)?;
        let mut swav = SwavConfig::from_checkpoint(&checkpoint)?;
        if let Stem::Small { stride, .. } = &mut swav.backbone.stem {
            *stride = stem_stride;
        }
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
        let (train, test) = match &config.data {
            Some(folder) => fashion_mnist::load_idx(folder)?,
            None => (
                fashion_mnist::embedded_train(),
                fashion_mnist::embedded_test(),
            ),
        };
        let train = Arc::new(train);
        let recipe = config.recipe.clone();
        let loader = Loader::new(train.clone(), recipe, config.batch_size, config.seed)?;
        let steps = loader.steps_per_epoch();
        let mut study = Self {
            criterion: config.criterion.try_init()?,
            config,
            device,
            train,
            test,
            loader,
            load: Box::new(move |device| load(device, steps)),
            warning: None,
        };
        let method = (study.load)(&study.device)?;
        method.check_batch_size(study.config.batch_size)?;
        study.warning = method.warning(study.config.batch_size);
        Ok(study)
    }

    /// Runs the study and writes everything to the folder `output`. If it holds an unfinished run of the same
    /// configuration, that one goes on from its last whole epoch, with the same numbers as if it had not stopped.
    ///
    /// # Errors
    /// If the folder holds something else, a file cannot be written, or a training diverges.
    pub fn run(&self, output: &Path) -> Result<StudyResults, Error> {
        let start = Instant::now();
        let folder = RunFolder::open(output, &self.config)?;
        println!(
            "{} images to train on, {} to test on, {} epochs of {} steps, device {}; run folder {}",
            self.train.len(),
            self.test.len(),
            self.config.epochs,
            self.loader.steps_per_epoch(),
            self.config.device,
            output.display()
        );

        if let Some(warning) = &self.warning {
            eprintln!("warning: {warning}");
        }

        let base = (self.load)(&self.device)?;
        let mut results = vec![(Branch::Base, self.probe(&base, Branch::Base)?)];
        let before = self.compact_embeddings(&base);
        let mut after = before.clone();
        let mut steps = Vec::new();
        for (branch, (method, metrics)) in self.train_branches(&folder)? {
            print_training(branch, &metrics);
            steps.extend(metrics);
            results.push((branch, self.probe(&method, branch)?));
            method.save(folder.path(&format!("checkpoints/{}.safetensors", branch.key())))?;
            if branch == Branch::E2mc {
                save_backbone(method.backbone(), folder.path("backbone.safetensors"))?;
                after = self.compact_embeddings(&method);
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
        let page = report(&self.config, &results, &steps, before, after);
        write_atomically(&folder.path("report.html"), page.as_bytes())?;
        println!("\n{}", results.table());
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
        let bars = MultiProgress::new();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let [continued, e2mc] = if self.config.device == "flex" && cores > 1 {
            let pool = || {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(cores / 2);
                pool.build().expect("the system can start threads")
            };
            std::thread::scope(|scope| {
                let training = branches.map(|branch| {
                    let (bars, pool) = (&bars, pool());
                    scope.spawn(move || pool.install(|| self.train(branch, folder, bars)))
                });
                training.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            })
        } else {
            branches.map(|branch| self.train(branch, folder, &bars))
        };
        Ok([(Branch::Continued, continued?), (Branch::E2mc, e2mc?)])
    }

    /// Continues the checkpoint with or without E2MC, or goes on where an interrupted run stopped.
    fn train(
        &self,
        branch: Branch,
        folder: &RunFolder,
        bars: &MultiProgress,
    ) -> Result<Trained<M>, Error> {
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

        let steps = self.config.epochs * self.loader.steps_per_epoch();
        let title = format!("training, {}", branch.title());
        let progress = Progress::resumed(bars, title, steps, first);
        while !training.is_finished() {
            training = training.epoch(&self.loader, &device, |step| {
                file.push(step)?;
                progress.step(step);
                metrics.push(step.clone());
                Ok(())
            })?;
            EpochState::save(&training, &checkpoints)?;
        }
        progress.finish();
        Ok((training.into_method(), metrics))
    }

    /// Linear probes on the features of a method's backbone.
    fn probe(&self, method: &M, branch: Branch) -> Result<Vec<FractionProbes>, Error> {
        let progress = Progress::new(
            format!("features, {}", branch.title()),
            self.train.len() + self.test.len(),
        );
        let extract = |images: &ImageSet, offset: usize| {
            let normalization = &self.config.recipe.normalization;
            let count = |done, _| progress.set(offset + done);
            extract_features(
                method.backbone(),
                images,
                normalization,
                EXTRACTION_BATCH,
                &self.device,
                count,
            )
        };
        let train = extract(&self.train, 0)?;
        let test = extract(&self.test, self.train.len())?;
        progress.finish();

        let count = LabelFraction::ALL.map(|fraction| probes::draws(fraction, &self.config));
        let progress = Progress::new(format!("probes, {}", branch.title()), count.iter().sum());
        let probes = probes::probe_all(&train, &test, &self.config, &self.device, || {
            progress.tick()
        })?;
        progress.finish();
        let means = probes.iter().map(|probe| {
            let mean = probe.summary().map_or(f64::NAN, |summary| summary.mean);
            format!("{:.1}% with {} of the labels", mean, probe.fraction)
        });
        println!(
            "{:<20} {}",
            format!("probes, {}", branch.title()),
            means.collect::<Vec<_>>().join(", ")
        );
        Ok(probes)
    }

    /// The embeddings of some test images on the criterion's compact space, `[n, d]`.
    fn compact_embeddings(&self, method: &M) -> Tensor<2> {
        let method = method.valid();
        let indices: Vec<usize> = (0..self.test.len().min(MARGINAL_IMAGES)).collect();
        let batches = indices
            .chunks(EXTRACTION_BATCH)
            .map(|chunk| {
                let normalization = &self.config.recipe.normalization;
                method.project(self.test.tensor(chunk, normalization, &self.device))
            })
            .collect();
        let space: CompactSpace = self.config.criterion.space;
        space.transform(Tensor::cat(batches, 0))
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
