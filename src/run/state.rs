use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use ssl_methods::{BaseMethod, MethodState};

use crate::files::{create_dir, read_json, sync_dir, write_atomically, write_json};
use crate::training::{Position, Training, TrainingConfig};
use crate::{Error, Result};

/// The saved state of a training between two steps. It is complete: a restored training continues
/// as if it had not been interrupted.
#[derive(Debug, Clone)]
pub struct TrainingState {
    folder: PathBuf,
}

const METHOD: &str = "method.bpk";
const METHOD_STATE: &str = "method_state.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const POSITION: &str = "position.json";

impl TrainingState {
    /// The newest state of `branch` under `checkpoints`, if one was saved.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn newest(checkpoints: &Path, branch: &str) -> Result<Option<Self>> {
        let newest = all(checkpoints, branch)?.pop();
        Ok(newest.map(|(_, folder)| Self { folder }))
    }

    /// Saves a training and removes all but the branch's newest `keep` states.
    ///
    /// # Errors
    ///
    /// If something cannot be written. Older states then stay intact.
    ///
    /// # Panics
    ///
    /// If `keep` is 0.
    pub fn save<M: BaseMethod>(
        training: &Training<M>,
        checkpoints: &Path,
        keep: usize,
    ) -> Result<Self> {
        assert!(keep > 0, "the state that is being saved must be kept");
        let branch = &training.config().branch;
        let folder = checkpoints.join(format!("{branch}-step-{}", training.steps_done()));
        if folder.exists() {
            return Ok(Self { folder });
        }
        let partial = checkpoints.join(format!("{branch}-partial"));
        create_dir(&partial)?;

        let file = |name: &str| partial.join(name);
        // A record of the training module would miss the last update of the running statistics.
        let method = training.method().valid().into_record().into_bytes();
        write_atomically(&file(METHOD), &method.map_err(unreadable(&file(METHOD)))?)?;
        let optimizer = training.optimizer().into_bytes();
        let optimizer = optimizer.map_err(unreadable(&file(OPTIMIZER)))?;
        write_atomically(&file(OPTIMIZER), &optimizer)?;
        let state = training.method().state().into_bytes()?;
        write_atomically(&file(METHOD_STATE), &state)?;
        write_json(&file(POSITION), &training.position())?;

        std::fs::rename(&partial, &folder).map_err(Error::write(&folder))?;
        sync_dir(checkpoints)?;
        let mut states = all(checkpoints, branch)?;
        states.truncate(states.len().saturating_sub(keep));
        remove(states)?;
        Ok(Self { folder })
    }

    /// Removes all states of `branch`, which a finished branch does not need.
    ///
    /// # Errors
    ///
    /// If a folder cannot be removed.
    pub fn remove_all(checkpoints: &Path, branch: &str) -> Result<()> {
        let partial = checkpoints.join(format!("{branch}-partial"));
        let partial = partial.exists().then_some((0, partial));
        remove(all(checkpoints, branch)?.into_iter().chain(partial))
    }

    /// Restores the training, given a method and an optimizer made with the same plan.
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged, or of another plan.
    pub fn restore<M: BaseMethod>(
        &self,
        method: M,
        optimizer: ModuleOptimizer,
        config: TrainingConfig,
    ) -> Result<Training<M>> {
        let path = |name: &str| self.folder.join(name);
        let read = |name: &str| {
            let path = path(name);
            let bytes = std::fs::read(&path).map_err(Error::read(&path))?;
            Ok::<_, Error>(Bytes::from_bytes_vec(bytes))
        };
        let record = ModuleRecord::from_bytes(read(METHOD)?).map_err(unreadable(&path(METHOD)))?;
        let mut method = method
            .try_load_record(record)
            .map_err(unreadable(&path(METHOD)))?;
        method.load_state(MethodState::from_bytes(read(METHOD_STATE)?)?)?;
        let optimizer = optimizer
            .from_bytes(read(OPTIMIZER)?)
            .map_err(unreadable(&path(OPTIMIZER)))?;
        let position: Position = read_json(&path(POSITION))?;
        Ok(Training::at(method, optimizer, config, position))
    }
}

/// The states of a branch, by the number of their step.
fn all(checkpoints: &Path, branch: &str) -> Result<Vec<(usize, PathBuf)>> {
    let prefix = format!("{branch}-step-");
    let mut states = Vec::new();
    for entry in std::fs::read_dir(checkpoints).map_err(Error::read(checkpoints))? {
        let path = entry.map_err(Error::read(checkpoints))?.path();
        let step = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(&prefix)?.parse().ok());
        states.extend(step.map(|step| (step, path)));
    }
    states.sort_unstable();
    Ok(states)
}

fn remove(states: impl IntoIterator<Item = (usize, PathBuf)>) -> Result<()> {
    for (_, folder) in states {
        std::fs::remove_dir_all(&folder).map_err(Error::write(&folder))?;
    }
    Ok(())
}

fn unreadable<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Error + '_ {
    move |error| {
        let folder = path.parent().unwrap_or(path);
        Error::state(
            path,
            format!(
                "saved state cannot be used ({error}); delete {} to resume from an earlier one",
                folder.display()
            ),
        )
    }
}
