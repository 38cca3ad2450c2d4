//! Shared by the examples: arguments, an observer that prints, and the run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use e2mc::{Error, Event, Observer, Plan, RunOptions, free_run_folder};

/// A checkpoint and a folder of images, if two arguments were given.
pub fn arguments() -> Option<(PathBuf, PathBuf)> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    Some((arguments.next()?, arguments.next()?))
}

/// A checkpoint that comes with e2mc.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("checkpoints")
        .join(name)
}

/// Runs the study of a plan in the first free folder with that name.
pub fn run(plan: Plan, output: &str) -> ExitCode {
    match run_study(plan, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_study(plan: Plan, output: &str) -> Result<(), Error> {
    let mut options = RunOptions::default();
    options.cache = plan.data.as_ref().map(|_| "runs/cache".into());
    let output = free_run_folder(Path::new(output));
    let results = e2mc::run(plan, options, &output, Arc::new(Printer))?;
    for comparison in results.of("e2mc") {
        println!(
            "{} of the labels: + E2MC gains {} points over {}",
            comparison.probe, comparison.difference, comparison.reference
        );
    }
    println!("{} shows more", output.join("report.html").display());
    Ok(())
}

/// Prints the events of a run. The library itself prints nothing.
struct Printer;

impl Observer for Printer {
    fn event(&self, event: &Event) {
        match event {
            Event::Decision(line) | Event::Note(line) => println!("{line}"),
            Event::Step { metrics, total } if (metrics.step + 1) % 50 == 0 => println!(
                "{} {}/{total}: base loss {:.3}, entropy {:.3}, covariance {:.4}",
                metrics.branch,
                metrics.step + 1,
                metrics.base_loss,
                metrics.entropy,
                metrics.covariance
            ),
            Event::Probed { backbone, probes } => {
                for probe in *probes {
                    println!(
                        "{backbone}, {} of the labels: {:.2?}",
                        probe.labels, probe.accuracies
                    );
                }
            }
            _ => {}
        }
    }
}
