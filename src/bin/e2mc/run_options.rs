use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use e2mc::{Error, Plan, Result, RunOptions, SavePlan, StudyResults, free_run_folder};

use crate::tables;
use crate::terminal::Terminal;
use crate::train_options::TrainOptions;

/// Options that do not affect a run's numbers, and so are allowed with `--resume`. Other devices
/// round otherwise, which the report says.
const WITH_RESUME: [&str; 8] = [
    "resume",
    "device",
    "save_every_steps",
    "save_every_minutes",
    "keep_states",
    "cache",
    "dry_run",
    "json",
];
/// Options for the start of a run, which a plan already states.
const NOT_WITH_PLAN: [&str; 6] = [
    "checkpoint",
    "preset",
    "prefix",
    "allow_unused",
    "stem_stride",
    "stem_padding",
];

/// Ends the program if options are given that `--resume` or `--plan` would ignore.
pub(crate) fn check_conflicts(command: &mut Command, given: &ArgMatches) {
    let is_given = |name: &str| {
        let known = given.try_contains_id(name).unwrap_or(false);
        known && given.value_source(name) == Some(ValueSource::CommandLine)
    };
    let names: Vec<String> = command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .filter(|name| is_given(name))
        .collect();
    let conflict = |option: &str, with: &str| {
        let with = with.replace('_', "-");
        format!("the argument '--{option}' cannot be used with '--{with}'")
    };
    let resumed = is_given("resume").then(|| {
        let other = names
            .iter()
            .find(|name| !WITH_RESUME.contains(&name.as_str()));
        other.map(|other| conflict("resume", other))
    });
    let planned = is_given("plan").then(|| {
        let other = names
            .iter()
            .find(|name| NOT_WITH_PLAN.contains(&name.as_str()));
        other.map(|other| conflict("plan", other))
    });
    if let Some(message) = resumed.flatten().or(planned.flatten()) {
        command.error(ErrorKind::ArgumentConflict, message).exit();
    }
}

/// Options for the folder of a run and its saved states.
#[derive(Args)]
#[command(next_help_heading = "Run folder")]
pub(crate) struct FolderOptions {
    /// Run folder; resumes an unfinished run of the same command there [default: the first free of
    /// runs/COMMAND, runs/COMMAND-2, ...]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Resume the run in this folder with its own plan. With --device, on other devices, for
    /// example without one that was lost
    #[arg(long, value_name = "FOLDER")]
    resume: Option<PathBuf>,
    /// Steps between two saves of the training state [default: by time and epochs only]
    #[arg(long, value_name = "N")]
    save_every_steps: Option<usize>,
    /// Minutes between two saves
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    save_every_minutes: f64,
    /// Number of saved states to keep for each branch
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep_states: usize,
    /// Cache folder for lists of images and prepared images
    #[arg(long, value_name = "FOLDER", default_value = "runs/cache")]
    cache: PathBuf,
    /// Print the plan as JSON and stop
    #[arg(long)]
    dry_run: bool,
    /// Print the results as JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl FolderOptions {
    /// The plan of the run: from the folder to resume, perhaps on other devices, else from `file`
    /// or `preset` with the changes of the options.
    pub(crate) fn plan(
        &self,
        file: Option<&Path>,
        options: &TrainOptions,
        preset: impl FnOnce() -> Result<Plan>,
    ) -> Result<Plan> {
        match (&self.resume, file) {
            (Some(folder), _) => Ok(options.on_devices(Plan::of_run(folder)?)),
            (None, Some(file)) => options.apply(Plan::read(file)?),
            (None, None) => options.apply(preset()?),
        }
    }

    /// Runs the study of a plan, in the given folder or the first free `runs/NAME`.
    pub(crate) fn run(&self, plan: Plan, name: &str) -> Result<()> {
        if self.dry_run {
            plan.validate()?;
            tables::print(&tables::json(&plan));
            return Ok(());
        }
        let minutes = self.save_every_minutes;
        let every = Duration::try_from_secs_f64(minutes * 60.0).map_err(|_| Error::Setting {
            path: "save_every_minutes".into(),
            value: minutes.to_string(),
            expected: "a number of at least 0".into(),
        })?;
        let mut save = SavePlan::default();
        save.every_steps = self.save_every_steps;
        save.every = every;
        save.keep = self.keep_states;
        let mut options = RunOptions::default().with_save(save);
        options.other_devices = self.resume.is_some();
        options.cache = plan.data.as_ref().map(|_| self.cache.clone());
        let output = match (&self.resume, &self.output) {
            (Some(folder), _) | (None, Some(folder)) => folder.clone(),
            (None, None) => free_run_folder(&Path::new("runs").join(name)),
        };
        let terminal = Arc::new(Terminal::new());
        terminal.stop_on_signals();
        let results = e2mc::run(plan.clone(), options, &output, terminal.clone())?;
        terminal.finish();
        match self.json {
            true => tables::print(&tables::json(&results)),
            false => print(&plan, &results),
        }
        let seconds = terminal.elapsed().as_secs_f64();
        for branch in &plan.branches {
            let file = output.join(format!("backbone-{}.safetensors", branch.name));
            let method = output.join(format!("checkpoints/{}.safetensors", branch.name));
            let title = branch.title();
            eprintln!(
                "{title}: backbone {}, whole method {}",
                file.display(),
                method.display()
            );
        }
        eprintln!("report: {}", output.join("report.html").display());
        eprintln!("done in {seconds:.0} s");
        Ok(())
    }
}

fn print(plan: &Plan, results: &StudyResults) {
    let backbones = &results.backbones;
    let embeddings = e2mc::embedding_table(backbones, &results.embedding_comparisons);
    tables::print(&tables::draw(&embeddings));
    if plan.probes.is_empty() || backbones.iter().all(|backbone| backbone.probes.is_empty()) {
        return;
    }
    let title = |name: &str| {
        let backbone = backbones.iter().find(|backbone| backbone.name == name);
        backbone.map_or(name.to_string(), |backbone| backbone.title.clone())
    };
    let probed = backbones.iter().map(|b| (&*b.title, &*b.probes));
    tables::print(&tables::draw(&e2mc::accuracy_table(probed)));
    if !results.comparisons.is_empty() {
        let table = e2mc::comparison_table(&results.comparisons, title);
        tables::print(&tables::draw(&table));
    }
    for sentence in e2mc::verdict_sentences(&results.verdicts, title) {
        tables::print(&sentence);
    }
    if !results.verdicts.is_empty() {
        tables::print(e2mc::VERDICT_NOTE);
    }
}
