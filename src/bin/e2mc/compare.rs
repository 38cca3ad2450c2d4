use std::path::PathBuf;

use clap::Args;
use e2mc::{Error, comparison_table};

use crate::checkpoint_options::ReadingOptions;
use crate::probe::{EvaluationOptions, accuracies};
use crate::tables;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint with the first ResNet, of any layout
    #[arg(long, value_name = "FILE")]
    before: PathBuf,
    /// Checkpoint with the second one
    #[arg(long, value_name = "FILE")]
    after: PathBuf,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    evaluation: EvaluationOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let start = |path| arguments.reading.start(path);
    let backbones = vec![
        ("before".to_string(), start(arguments.before)),
        ("after".to_string(), start(arguments.after)),
    ];
    let options = &arguments.evaluation;
    let evaluation = options.run(backbones)?;
    if options.json {
        tables::print(&tables::json(&evaluation));
        return Ok(());
    }
    tables::print(&tables::draw(&accuracies(&evaluation)));
    let table = comparison_table(&evaluation.comparisons, str::to_string);
    tables::print(&tables::draw(&table));
    Ok(())
}
