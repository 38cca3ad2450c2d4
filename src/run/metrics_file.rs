use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::files::{read_text, write_atomically};
use crate::{Error, Result, StepMetrics};

/// Appends the steps of one branch to its file, one line each.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens the file. Drops the lines from step `next` on, which the resumed run will write again,
    /// and a truncated last line. Returns the other lines.
    ///
    /// # Errors
    ///
    /// [`Error::State`] if earlier lines are missing, and [`Error::Io`].
    pub(crate) fn open(path: PathBuf, next: usize) -> Result<(Self, Vec<StepMetrics>)> {
        let text = match path.exists() {
            true => read_text(&path)?,
            false => String::new(),
        };
        let kept: Vec<StepMetrics> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|metrics: &StepMetrics| metrics.step < next)
            .collect();
        let whole = kept.iter().map(|metrics| metrics.step).eq(0..next);
        if !whole {
            let reason = format!(
                "lines of the first {next} steps are missing or damaged; restore the file, or \
                delete the branch's folders in checkpoints to repeat it from its start"
            );
            return Err(Error::state(&path, reason));
        }
        let lines: String = kept.iter().map(line).collect();
        write_atomically(&path, lines.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(Error::write(&path))?;
        Ok((Self { path, file }, kept))
    }

    /// Appends a step.
    pub(crate) fn push(&mut self, metrics: &StepMetrics) -> Result<()> {
        let written = self.file.write_all(line(metrics).as_bytes());
        written.map_err(Error::write(&self.path))
    }

    /// Syncs the file, so that its lines survive a power failure.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::write(&self.path))
    }
}

fn line(metrics: &StepMetrics) -> String {
    let json = serde_json::to_string(metrics).expect("metrics are numbers and strings");
    format!("{json}\n")
}
