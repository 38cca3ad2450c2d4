//! Atomic files: written under a temporary name, synced, and renamed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::EvalError;

/// The temporary name of an incomplete file: `.tmp` is appended.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Syncs the folder, so that the new name of a file survives a power failure. Does nothing where
/// folders cannot be synced.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

pub(crate) fn write_error(path: &Path, error: io::Error) -> EvalError {
    EvalError::Write {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}
