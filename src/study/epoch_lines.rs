//! Files with a line for each evaluation of a backbone in training.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{read_text, write_atomically};
use crate::{Error, Result};

/// A line that belongs to an epoch.
pub(super) trait EpochLine: Serialize + DeserializeOwned {
    /// Whole epochs done.
    fn epoch(&self) -> usize;
}

/// The lines of a file; none if there is no such file.
pub(super) fn read_lines<T: EpochLine>(path: &Path) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(path)?;
    let lines = text.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| Error::state(path, format!("{error}; delete it and resume the run")))
}

/// Adds a line. It replaces the lines of its epoch and of later ones, which a killed run may have
/// left. Returns all lines.
pub(super) fn add_line<T: EpochLine>(path: &Path, line: T) -> Result<Vec<T>> {
    let mut lines = read_lines::<T>(path)?;
    lines.retain(|earlier| earlier.epoch() < line.epoch());
    lines.push(line);
    let json = |line| serde_json::to_string(line).expect("numbers have a JSON form") + "\n";
    let text: String = lines.iter().map(json).collect();
    write_atomically(path, text.as_bytes())?;
    Ok(lines)
}
