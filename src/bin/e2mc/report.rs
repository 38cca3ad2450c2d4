use std::path::PathBuf;

use clap::Args;
use e2mc::{Error, write_report};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run folder
    folder: PathBuf,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    write_report(&arguments.folder)?;
    eprintln!("report: {}", arguments.folder.join("report.html").display());
    Ok(())
}
