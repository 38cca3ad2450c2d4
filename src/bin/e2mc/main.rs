//! The command `e2mc`: continue pre-training a self-supervised vision model, and measure whether it
//! improved.

mod checkpoint_options;
mod compare;
mod continue_training;
mod diagnose;
mod extract;
mod finetune;
mod image_options;
mod inspect;
mod knn;
mod labels;
mod message;
mod pretrain;
mod probe;
mod probe_kind;
mod report;
mod reproduce;
mod run_options;
#[cfg(feature = "remote")]
mod serve;
mod source_options;
mod svm;
mod tables;
mod terminal;
mod train_options;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

/// Continue pre-training a self-supervised vision model with E2MC, and measure whether it improved.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Continue a checkpoint with its base loss alone and with E2MC, probe all backbones, and write
    /// the improved backbone with a report.
    ///
    /// Without options, it uses a small SwAV checkpoint and small images that come with e2mc, and
    /// takes a few minutes on a laptop.
    Continue(continue_training::Arguments),
    /// Train a method from scratch, and probe its backbone.
    Pretrain(pretrain::Arguments),
    /// Probe one backbone: train linear classifiers on its features.
    Probe(probe::Arguments),
    /// Fine-tune a backbone with a classifier on few labels, and test it.
    Finetune(finetune::Arguments),
    /// Classify test images by their nearest training images in the features of a backbone.
    Knn(knn::Arguments),
    /// Train linear SVMs on the features of Pascal VOC 2007, one for each class.
    Svm(svm::Arguments),
    /// Probe two backbones on the same images, or read two files of predictions, and test whether
    /// they differ.
    Compare(compare::Arguments),
    /// Measure the embeddings of a checkpoint, and show what E2MC would change, without training.
    Diagnose(diagnose::Arguments),
    /// Write the features of a folder of images, or of the images of a list.
    Extract(extract::Arguments),
    /// Show what a checkpoint contains.
    Inspect(inspect::Arguments),
    /// Reproduce the paper's tables and figures in miniature, beside the published ones.
    ///
    /// Without options, it makes all of them on the images that come with e2mc, in about 80 minutes
    /// on two cores.
    Reproduce(reproduce::Arguments),
    /// Write report.html of a run folder again, finished or not.
    Report(report::Arguments),
    /// Let runs on other machines use devices of this one.
    #[cfg(feature = "remote")]
    Serve(serve::Arguments),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    if let Some((name, given)) = matches.subcommand() {
        let mut command = Cli::command();
        let subcommand = command
            .find_subcommand_mut(name)
            .expect("it was just parsed");
        run_options::check_conflicts(subcommand, given);
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let (name, result) = match cli.command {
        Command::Continue(arguments) => ("continue", continue_training::run(arguments)),
        Command::Pretrain(arguments) => ("pretrain", pretrain::run(arguments)),
        Command::Probe(arguments) => ("probe", probe::run(arguments)),
        Command::Finetune(arguments) => ("finetune", finetune::run(arguments)),
        Command::Knn(arguments) => ("knn", knn::run(arguments)),
        Command::Svm(arguments) => ("svm", svm::run(arguments)),
        Command::Compare(arguments) => ("compare", compare::run(arguments)),
        Command::Diagnose(arguments) => ("diagnose", diagnose::run(arguments)),
        Command::Extract(arguments) => ("extract", extract::run(arguments)),
        Command::Inspect(arguments) => ("inspect", inspect::run(arguments)),
        Command::Reproduce(arguments) => ("reproduce", reproduce::run(arguments)),
        Command::Report(arguments) => ("report", report::run(arguments)),
        #[cfg(feature = "remote")]
        Command::Serve(arguments) => ("serve", serve::run(arguments)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "e2mc", &mut std::io::stdout());
            return ExitCode::SUCCESS;
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let command = Cli::command();
            let command = command.find_subcommand(name).expect("it was just parsed");
            eprintln!("error: {}", message::of(&error, command));
            message::exit_code(&error)
        }
    }
}
