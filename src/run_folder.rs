use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, StudyConfig};

/// The folder of one run. Files appear in it whole or not at all: each is written under a temporary name and renamed.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Creates the folder, or opens the unfinished one of the same configuration to go on with it.
    pub(crate) fn open(root: &Path, config: &StudyConfig) -> Result<Self, Error> {
        let folder = Self {
            root: root.to_path_buf(),
        };
        let in_the_way = |problem: &str| Error::RunFolder {
            path: root.to_path_buf(),
            problem: problem.into(),
        };
        let config_file = folder.path("config.json");
        if config_file.exists() {
            let written: StudyConfig = read_json(&config_file)?;
            if written != *config {
                return Err(in_the_way("holds a run of another configuration"));
            }
            if folder.path("report.html").exists() {
                return Err(in_the_way("holds a finished run"));
            }
            return Ok(folder);
        }
        if root.exists()
            && fs::read_dir(root)
                .map_err(Error::io(root))?
                .next()
                .is_some()
        {
            return Err(in_the_way("is not empty and holds no run"));
        }
        create_dir(&folder.path("checkpoints"))?;
        write_json(&config_file, config)?;
        Ok(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
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

pub(crate) fn create_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io(path))
}

/// Writes a file under a temporary name beside it, then renames it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    fs::write(&partial, bytes).map_err(Error::io(&partial))?;
    fs::rename(&partial, path).map_err(Error::io(path))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(value).expect("our types have a JSON form");
    write_atomically(path, json.as_bytes())
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|error| Error::State {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}
