use std::collections::BTreeMap;
use std::fmt;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use rayon::prelude::*;

use super::file_kind::{FileKind, LeftOut, count, files_beneath, is_image, leftover, merge};
use crate::decode::DecodeLimits;
use crate::{DataError, Result};

/// Folders nested more deeply than this are not entered.
const MAX_DEPTH: usize = 64;

/// Called with the number of images found so far.
type OnFound = Box<dyn Fn(usize) + Send + Sync>;

/// How a folder is searched for images.
#[derive(Default)]
pub struct ScanOptions {
    pub(super) limits: DecodeLimits,
    pub(super) cache: Option<PathBuf>,
    progress: Option<OnFound>,
}

impl ScanOptions {
    /// No cache, no progress, default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Caches the list of files in `path` and uses it until a folder changes, so that a million
    /// files are not searched again. Choose a path outside the data folder, which is never written
    /// to.
    pub fn with_cache(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(path.into());
        self
    }

    /// Calls `progress` with the number of images found so far, after each folder and from any
    /// thread.
    pub fn with_progress(mut self, progress: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Sets the limits on an image that is read.
    pub fn with_limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for ScanOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ScanOptions")
            .field("limits", &self.limits)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// The images found beneath a folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// By folder, relative to the root and with `/` (the root is ""): its images in order of their
    /// names.
    pub(super) folders: BTreeMap<String, Vec<String>>,
    /// When each folder last changed.
    pub(super) modified: BTreeMap<String, Option<SystemTime>>,
    /// Files left out without a problem, by kind.
    pub(super) left_out: LeftOut,
    /// Files and folders that could not be read or were left out.
    pub(super) problems: Vec<DataError>,
}

impl Scan {
    fn merge(mut self, mut other: Self) -> Self {
        self.folders.append(&mut other.folders);
        self.modified.append(&mut other.modified);
        merge(&mut self.left_out, &other.left_out);
        self.problems.append(&mut other.problems);
        self
    }
}

/// Searches `root` and all folders beneath it in parallel, and follows symbolic links. Files are
/// not opened: on the usual file systems, a folder's entries include their kind.
///
/// # Errors
///
/// If `root` itself cannot be read.
pub(super) fn scan(root: &Path, options: &ScanOptions) -> Result<Scan> {
    let found = AtomicUsize::new(0);
    let walk = Walk {
        options,
        found: &found,
    };
    let mut scan = walk
        .folder(root, String::new(), 0)
        .map_err(|cause| DataError::Read {
            path: root.into(),
            cause,
        })?;
    scan.problems.sort_by_key(ToString::to_string);
    Ok(scan)
}

struct Walk<'a> {
    options: &'a ScanOptions,
    found: &'a AtomicUsize,
}

impl Walk<'_> {
    fn folder(&self, path: &Path, relative: String, depth: usize) -> io::Result<Scan> {
        // Read before the entries: a change in between makes the list older than the folder.
        let modified = path.metadata()?.modified().ok();
        let (mut images, mut folders, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut left_out = LeftOut::new();
        for entry in path.read_dir()? {
            let entry = entry?;
            match self.entry(&entry, path, depth) {
                Ok(Kind::Folder(name)) => folders.push(name),
                Ok(Kind::Image(name)) => images.push(name),
                Ok(Kind::LeftOut(kind, files)) => count(&mut left_out, kind, files),
                Err(problem) => problems.push(problem),
            }
        }
        images.sort_unstable();
        let before = self.found.fetch_add(images.len(), Ordering::Relaxed);
        if let Some(progress) = &self.options.progress {
            progress(before + images.len());
        }
        let below = folders
            .into_par_iter()
            .map(|name| {
                let path = path.join(&name);
                let relative = joined(&relative, &name);
                self.folder(&path, relative, depth + 1)
                    .unwrap_or_else(|cause| Scan {
                        problems: vec![DataError::Read { path, cause }],
                        ..Scan::default()
                    })
            })
            .reduce(Scan::default, Scan::merge);
        Ok(Scan {
            folders: BTreeMap::from([(relative.clone(), images)]),
            modified: BTreeMap::from([(relative, modified)]),
            left_out,
            problems,
        }
        .merge(below))
    }

    fn entry(&self, entry: &DirEntry, folder: &Path, depth: usize) -> Result<Kind> {
        let left_out = |problem: &'static str| DataError::LeftOut {
            path: entry.path(),
            problem,
        };
        let kind = entry.file_type().map_err(|cause| DataError::Read {
            path: entry.path(),
            cause,
        })?;
        let link = kind.is_symlink();
        let is_folder = kind.is_dir() || link && entry.path().is_dir();
        let name = entry.file_name().into_string();
        if let Some(leftover) = leftover(&entry.file_name().to_string_lossy()) {
            let files = match (kind.is_dir(), is_folder) {
                (true, _) => files_beneath(&entry.path()),
                // A link to a folder.
                (false, true) => 0,
                (false, false) => 1,
            };
            return Ok(Kind::LeftOut(leftover, files));
        }
        if is_folder {
            if depth == MAX_DEPTH {
                return Err(left_out("is nested too deeply; move it up"));
            }
            if link && leads_back(&entry.path(), folder) {
                return Err(left_out("leads back to a folder above it; remove the link"));
            }
            return match name {
                Ok(name) => Ok(Kind::Folder(name)),
                Err(_) => Err(left_out("has a name that is not UTF-8; rename it")),
            };
        }
        // A broken link is listed too: reading it reports a missing image.
        match name {
            Ok(name) => Ok(match FileKind::of(&name) {
                FileKind::Image if kind.is_file() || link => Kind::Image(name),
                FileKind::Image => Kind::LeftOut("pipes and devices", 1),
                FileKind::LeftOut(kind) => Kind::LeftOut(kind, 1),
            }),
            Err(name) if is_image(&name.to_string_lossy()) => {
                Err(left_out("has a name that is not UTF-8; rename it"))
            }
            Err(_) => Ok(Kind::LeftOut("other files", 1)),
        }
    }
}

enum Kind {
    Folder(String),
    Image(String),
    /// A number of files of a kind.
    LeftOut(&'static str, usize),
}

/// A path with `/` on every platform.
pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.into()
    } else {
        format!("{folder}/{name}")
    }
}

fn leads_back(link: &Path, folder: &Path) -> bool {
    match (link.canonicalize(), folder.canonicalize()) {
        (Ok(target), Ok(folder)) => folder.starts_with(target),
        _ => false,
    }
}
