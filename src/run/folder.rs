use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::RunFingerprint;
use super::devices_file;
use super::difference::differences;
use crate::files::{create_dir, read_json, write_json};
use crate::{Error, Plan, Result};

/// The folder of one run, locked while in use.
#[derive(Debug)]
pub(crate) struct RunFolder {
    root: PathBuf,
    resumed: bool,
    /// Released by the system, even if the program is killed.
    _lock: File,
}

const PLAN: &str = "plan.json";
const FINGERPRINT: &str = "fingerprint.json";
const RESULTS: &str = "results.json";
const REPORT: &str = "report.html";
const LOCK: &str = ".lock";

impl RunFolder {
    /// Creates the folder, or opens an unfinished one of the same run, which may have begun on
    /// other devices if `other_devices` allows it.
    pub(crate) fn open(
        root: &Path,
        plan: &Plan,
        fingerprint: &RunFingerprint,
        other_devices: bool,
    ) -> Result<Self> {
        let in_the_way = |problem: String| Error::RunFolder {
            path: root.to_path_buf(),
            problem,
        };
        let path = |name: &str| root.join(name);
        let resumed = path(PLAN).exists();
        if !resumed && holds_files(root)? {
            return Err(in_the_way(
                "it is not empty and contains no run; choose another folder".into(),
            ));
        }
        create_dir(&path("checkpoints"))?;
        let lock = lock(&path(LOCK))?.ok_or_else(|| {
            in_the_way("another process uses it; wait, or choose another folder".into())
        })?;
        if resumed {
            let written = Plan::read(path(PLAN))?;
            let planned = match other_devices && written.device != plan.device {
                true => written.on_devices(&plan.device),
                false => written.clone(),
            };
            let changed = differences(&planned.to_value(), &plan.to_value());
            if !changed.is_empty() {
                return Err(in_the_way(format!(
                    "it contains a run of another plan ({}); repeat that command, or choose \
                    another folder",
                    changed.join("; ")
                )));
            }
            if path(REPORT).exists() && path(RESULTS).exists() {
                return Err(in_the_way(
                    "it contains a finished run; choose another folder".into(),
                ));
            }
            if path(FINGERPRINT).exists() {
                let changed = fingerprint.differences(&read_json(&path(FINGERPRINT))?);
                if !changed.is_empty() {
                    return Err(in_the_way(format!(
                        "it cannot be resumed: {}; restore the original inputs, or start a new run \
                        in another folder",
                        changed.join("; ")
                    )));
                }
                if written.device != plan.device {
                    devices_file::add(root, &written)?;
                    plan.write(path(PLAN))?;
                }
                return Ok(Self::new(root, true, lock));
            }
        }
        // The plan is written last: without it, the folder contains no run yet.
        write_json(&path(FINGERPRINT), fingerprint)?;
        plan.write(path(PLAN))?;
        Ok(Self::new(root, resumed, lock))
    }

    fn new(root: &Path, resumed: bool, lock: File) -> Self {
        Self {
            root: root.to_path_buf(),
            resumed,
            _lock: lock,
        }
    }

    /// Whether the folder contained an earlier part of the run.
    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.path(RESULTS)
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.path(REPORT)
    }
}

/// Whether a folder contains files, except remains of a process killed at its start.
pub(crate) fn holds_files(root: &Path) -> Result<bool> {
    if !root.exists() {
        return Ok(false);
    }
    let entries = fs::read_dir(root).map_err(Error::read(root))?;
    for entry in entries {
        let entry = entry.map_err(Error::read(root))?;
        // Files left by a process killed before it wrote the plan.
        let name = entry.file_name();
        let ours = [LOCK, "checkpoints", FINGERPRINT]
            .iter()
            .any(|n| name == *n);
        if !ours && !name.to_string_lossy().ends_with(".partial") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Locks a file, creating it if needed. None if another process holds the lock.
pub(crate) fn lock(path: &Path) -> Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::write(path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        // Some network file systems have no locks. Running without one is better than failing.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
            Ok(Some(file))
        }
        Err(TryLockError::Error(error)) => Err(Error::write(path)(error)),
    }
}

/// The first of `base`, `base-2`, `base-3`, ... that does not exist.
pub fn free_run_folder(base: &Path) -> PathBuf {
    let numbered = |n: usize| match n {
        1 => base.to_path_buf(),
        _ => PathBuf::from(format!("{}-{n}", base.display())),
    };
    let mut n = 1;
    while numbered(n).exists() {
        n += 1;
    }
    numbered(n)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use e2mc_data::source::Fingerprint;

    use super::*;
    use crate::Preset;
    use crate::run::moves_in_words;

    #[test]
    fn a_run_moves_to_other_devices_only_if_allowed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let fingerprint = RunFingerprint {
            e2mc: "1".into(),
            checkpoint: None,
            lists: BTreeMap::new(),
            train: Fingerprint {
                images: 1,
                classes: 1,
                digest: String::new(),
                content: String::new(),
            },
            test: None,
        };
        let mut begun = Preset::SwavSmall.pretraining();
        begun.batch_size = 30;
        begun.device = "flex,remote:ws://a:1,remote:ws://b:1".into();
        let open = |plan: &Plan, moving| RunFolder::open(root, plan, &fingerprint, moving);
        assert!(!open(&begun, true).unwrap().is_resumed());
        assert_eq!(moves_in_words(root, &begun).unwrap(), None);

        let alone = begun.on_devices("flex");
        let error = open(&alone, false).unwrap_err().to_string();
        assert!(error.contains("device: "), "{error}");
        // Nothing but the devices may change.
        let mut longer = alone.clone();
        longer.epochs += 1;
        let error = open(&longer, true).unwrap_err().to_string();
        assert!(error.contains("epochs: 40, now 41"), "{error}");
        assert!(!error.contains("device"), "{error}");

        assert!(open(&alone, true).unwrap().is_resumed());
        assert_eq!(Plan::of_run(root).unwrap(), alone);
        let words = moves_in_words(root, &alone).unwrap().unwrap();
        assert!(words.contains("began on flex,remote:ws://a:1"), "{words}");
        assert!(
            words.contains("resumed on flex: batch normalization sees as many"),
            "{words}"
        );
        // The same again changes nothing.
        assert!(open(&alone, true).unwrap().is_resumed());
        assert_eq!(moves_in_words(root, &alone).unwrap().unwrap(), words);

        // Synchronized over three devices, three times as many images were seen together.
        let mut synchronized = alone.clone();
        synchronized.sync_batch_norm = true;
        let words = moves_in_words(root, &synchronized).unwrap().unwrap();
        assert!(words.contains("may see other numbers of images"), "{words}");

        let mut other = alone.clone();
        other.micro_batch = None;
        let words = moves_in_words(root, &other).unwrap().unwrap();
        assert!(words.contains("and then differs"), "{words}");
    }
}
