use std::path::{Path, PathBuf};

use clap::Args;
use e2mc::{
    Comparison, Error, Result, compare_predictions, comparison_table, evaluate, free_run_folder,
    significance_table, write_comparison, write_evaluation_report,
};

use crate::checkpoint_options::ReadingOptions;
use crate::probe::{EvaluationOptions, accuracies};
use crate::tables;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint with the first ResNet, of any layout. Or a file predictions-NAME.csv, for --after
    /// too: this compares without images
    #[arg(long, value_name = "FILE")]
    before: PathBuf,
    /// Checkpoint with the second ResNet, or its predictions
    #[arg(long, value_name = "FILE")]
    after: PathBuf,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    evaluation: EvaluationOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let is_csv = |path: &Path| path.extension().is_some_and(|ending| ending == "csv");
    match (is_csv(&arguments.before), is_csv(&arguments.after)) {
        (true, true) => compare_files(&arguments),
        (false, false) => compare_checkpoints(arguments),
        (before, _) => Err(Error::InvalidOption {
            option: if before { "after" } else { "before" },
            value: "a checkpoint".into(),
            expected: "a .csv file of predictions, like the other one".into(),
        }),
    }
}

fn compare_files(arguments: &Arguments) -> Result<()> {
    let options = &arguments.evaluation;
    if let Some(data) = &options.images.data {
        return Err(Error::InvalidOption {
            option: "data",
            value: data.display().to_string(),
            expected: "no images: files of predictions are compared without images".into(),
        });
    }
    let comparisons = compare_predictions(&arguments.before, &arguments.after, options.seed)?;
    if let Some(output) = &options.images.output {
        write_comparison(output, &arguments.title(), &comparisons)?;
        told(output);
    }
    match options.images.json {
        true => tables::print(&tables::json(&comparisons)),
        false => print(&comparisons),
    }
    Ok(())
}

fn compare_checkpoints(arguments: Arguments) -> Result<()> {
    let start = |path| arguments.reading.start(path).into();
    let title = arguments.title();
    let backbones = vec![
        ("before".to_string(), start(arguments.before)),
        ("after".to_string(), start(arguments.after)),
    ];
    let options = &arguments.evaluation;
    let plan = options.plan(backbones)?;
    let images = &options.images;
    let output = images.output.clone();
    let output = output.unwrap_or_else(|| free_run_folder(Path::new("runs/compare")));
    let evaluation = images.watched(|observer| evaluate(&plan, Some(&output), observer))?;
    write_evaluation_report(&output, &title, &evaluation)?;
    match images.json {
        true => tables::print(&tables::json(&evaluation)),
        false => {
            tables::print(&tables::draw(&accuracies(&evaluation)));
            print(&evaluation.comparisons);
        }
    }
    told(&output);
    Ok(())
}

impl Arguments {
    fn title(&self) -> String {
        format!("{} and {}", self.before.display(), self.after.display())
    }
}

fn told(output: &Path) {
    eprintln!("report: {}", output.join("report.html").display());
}

fn print(comparisons: &[Comparison]) {
    tables::print(&tables::draw(&comparison_table(
        comparisons,
        str::to_string,
    )));
    tables::print(&tables::draw(&significance_table(comparisons)));
}
