use std::path::PathBuf;

use clap::Args;
use e2mc::{Result, write_report};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run folder
    folder: PathBuf,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    write_report(&arguments.folder)?;
    eprintln!("report: {}", arguments.folder.join("report.html").display());
    Ok(())
}
