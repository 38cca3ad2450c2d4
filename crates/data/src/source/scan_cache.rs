use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::file_kind::LeftOut;
use super::scan::Scan;
use super::write::write_renamed;
use crate::Result;

/// Increase it when the format changes.
const VERSION: u32 = 2;

/// If a folder changed this shortly before it was read, it may have changed again within the
/// precision of its time stamp.
const UNCERTAIN: Duration = Duration::from_secs(2);

/// The list of a folder's images, kept from one run to the next.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    root: String,
    folders: BTreeMap<String, Vec<String>>,
    modified: BTreeMap<String, SystemTime>,
    left_out: LeftOut,
}

/// The list cached in `path`, if it belongs to `root` and no folder has changed since. Anything
/// else means a new search.
pub(super) fn load(path: &Path, root: &Path) -> Option<Scan> {
    let kept: Kept = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let valid = kept.version == VERSION
        && Path::new(&kept.root) == root.canonicalize().ok()?
        && kept.folders.keys().eq(kept.modified.keys())
        && kept.modified.iter().all(|(folder, modified)| {
            root.join(folder)
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|now| now == *modified)
        });
    valid.then(|| Scan {
        folders: kept.folders,
        modified: BTreeMap::new(),
        left_out: kept.left_out,
        problems: Vec::new(),
    })
}

/// Caches the list in `path`. It does not if a later run could not tell whether the list is still
/// valid: if anything was left out, or a folder's modification time is unknown or too recent.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn store(path: &Path, root: &Path, scan: &Scan, started: SystemTime) -> Result<()> {
    let modified: Option<BTreeMap<String, SystemTime>> = scan
        .modified
        .iter()
        .map(|(folder, modified)| {
            let modified = (*modified)?;
            (modified + UNCERTAIN < started).then(|| (folder.clone(), modified))
        })
        .collect();
    let root = root
        .canonicalize()
        .ok()
        .and_then(|root| root.into_os_string().into_string().ok());
    let (true, Some(modified), Some(root)) = (scan.problems.is_empty(), modified, root) else {
        return Ok(());
    };
    let kept = Kept {
        version: VERSION,
        root,
        folders: scan.folders.clone(),
        modified,
        left_out: scan.left_out.clone(),
    };
    write_renamed(path, |file| {
        serde_json::to_writer(file, &kept).map_err(Into::into)
    })
}
