use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::train::FinetuneDraw;
use crate::files::{create_dir, read_json, write_json};
use crate::run::{differences, holds_files, lock};
use crate::{Error, Result};

/// The plan and the digests of its files. A folder is only resumed with the same ones.
const PLAN: &str = "finetune.json";
const LOCK: &str = ".lock";

/// The folder of a fine-tuning, locked while in use. Finished draws are kept in it, so a stopped
/// program repeats at most one.
pub(super) struct FinetuneFolder {
    root: PathBuf,
    /// Released by the system, even if the program is killed.
    _lock: File,
}

impl FinetuneFolder {
    /// Creates the folder, or opens an existing one of the same plan.
    pub(super) fn open(root: &Path, plan: &Value) -> Result<Self> {
        let in_the_way = |problem: String| Error::RunFolder {
            path: root.to_path_buf(),
            problem,
        };
        let file = root.join(PLAN);
        if !file.exists() && holds_files(root)? {
            let problem = "it is not empty and contains no fine-tuning; choose another folder";
            return Err(in_the_way(problem.into()));
        }
        create_dir(root)?;
        let lock = lock(&root.join(LOCK))?.ok_or_else(|| {
            let problem = "another process uses it; wait, or choose another folder";
            in_the_way(problem.into())
        })?;
        if file.exists() {
            let changed = differences(&read_json(&file)?, plan);
            if !changed.is_empty() {
                return Err(in_the_way(format!(
                    "it contains a fine-tuning of another plan ({}); repeat that command, or \
                    choose another folder",
                    changed.join("; ")
                )));
            }
        } else {
            write_json(&file, plan)?;
        }
        Ok(Self {
            root: root.to_path_buf(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a previously finished draw, or runs `train`.
    pub(super) fn draw(
        &self,
        task: usize,
        draw: usize,
        train: impl FnOnce() -> Result<FinetuneDraw>,
    ) -> Result<FinetuneDraw> {
        let file = self.path(&format!("draw-{task}-{draw}.json"));
        if file.exists() {
            return read_json(&file);
        }
        let found = train()?;
        write_json(&file, &found)?;
        Ok(found)
    }
}
