//! Atomic file writes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::write(path))
}

/// Writes a file under a temporary name beside it, syncs it, and renames it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(Error::write(path))?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Syncs a folder, so that its names survive a power failure.
pub(crate) fn sync_dir(folder: &Path) -> Result<()> {
    // Windows cannot open a folder as a file, and does not need this.
    if cfg!(unix) {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(Error::write(folder))?;
    }
    Ok(())
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_string_pretty(value).expect("our types have a JSON form");
    json.push('\n');
    write_atomically(path, json.as_bytes())
}

pub(crate) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::read(path))
}

/// The text of a file written by a person, in any encoding. Bytes that are not UTF-8 are replaced.
pub(crate) fn read_text_lossy(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(Error::read(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let damaged = |error| {
        let reason = format!("cannot be parsed ({error}); delete it and resume the run");
        Error::state(path, reason)
    };
    serde_json::from_str(&read_text(path)?).map_err(damaged)
}
