//! What a run needs to go on after an interruption.

use std::path::{Path, PathBuf};

use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use ssl_methods::{BaseMethod, MethodState, Progress};

use crate::run_folder::{create_dir, read_json, write_atomically, write_json};
use crate::{Error, Training};

/// The saved state of a training after an epoch: everything that a training which was not interrupted has.
#[derive(Debug, Clone)]
pub struct EpochState {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Position {
    epoch: usize,
    iteration: usize,
}

const METHOD: &str = "method.bpk";
const METHOD_STATE: &str = "method_state.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const POSITION: &str = "position.json";

impl EpochState {
    /// The newest state of `branch` under `checkpoints`, if one was saved.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn newest(checkpoints: &Path, branch: &str) -> Result<Option<Self>, Error> {
        let prefix = format!("{branch}-epoch-");
        let mut newest: Option<(usize, PathBuf)> = None;
        for entry in std::fs::read_dir(checkpoints).map_err(Error::io(checkpoints))? {
            let path = entry.map_err(Error::io(checkpoints))?.path();
            let epoch = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_prefix(&prefix)?.parse().ok());
            if let Some(epoch) = epoch
                && newest.as_ref().is_none_or(|(best, _)| epoch > *best)
            {
                newest = Some((epoch, path));
            }
        }
        Ok(newest.map(|(_, folder)| Self { folder }))
    }

    /// Saves a training between two epochs and removes the branch's older state.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn save<M: BaseMethod>(training: &Training<M>, checkpoints: &Path) -> Result<Self, Error> {
        let branch = training.config.branch;
        let older = Self::newest(checkpoints, branch)?;
        let folder = checkpoints.join(format!("{branch}-epoch-{}", training.progress.epoch));
        let partial = checkpoints.join(format!("{branch}-partial"));
        create_dir(&partial)?;

        let file = |name: &str| partial.join(name);
        // A record of the training module would miss the last update of the running statistics.
        let method = training.method.valid().into_record().into_bytes();
        let method = method.map_err(state_error(&file(METHOD)))?;
        write_atomically(&file(METHOD), &method)?;
        let optimizer = training.optimizer.into_bytes();
        let optimizer = optimizer.map_err(state_error(&file(OPTIMIZER)))?;
        write_atomically(&file(OPTIMIZER), &optimizer)?;
        write_atomically(&file(METHOD_STATE), &training.method.state().into_bytes()?)?;
        let position = Position {
            epoch: training.progress.epoch,
            iteration: training.progress.iteration,
        };
        write_json(&file(POSITION), &position)?;

        std::fs::rename(&partial, &folder).map_err(Error::io(&folder))?;
        if let Some(Self { folder: older }) = older {
            std::fs::remove_dir_all(&older).map_err(Error::io(&older))?;
        }
        Ok(Self { folder })
    }

    /// Puts this state into a training that was created with the same configuration.
    ///
    /// # Errors
    /// If a file is missing, damaged, or of another configuration.
    pub fn restore<M: BaseMethod>(&self, training: Training<M>) -> Result<Training<M>, Error> {
        let Training {
            method,
            optimizer,
            config,
            ..
        } = training;
        let path = |name: &str| self.folder.join(name);
        let read = |name: &str| {
            let path = path(name);
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            Ok::<_, Error>(Bytes::from_bytes_vec(bytes))
        };
        let record = ModuleRecord::from_bytes(read(METHOD)?).map_err(state_error(&path(METHOD)))?;
        let mut method = method
            .try_load_record(record)
            .map_err(state_error(&path(METHOD)))?;
        method.load_state(MethodState::from_bytes(read(METHOD_STATE)?)?)?;
        let optimizer = optimizer
            .from_bytes(read(OPTIMIZER)?)
            .map_err(state_error(&path(OPTIMIZER)))?;
        let position: Position = read_json(&path(POSITION))?;
        Ok(Training {
            method,
            optimizer,
            config,
            progress: Progress {
                epoch: position.epoch,
                iteration: position.iteration,
            },
        })
    }
}

fn state_error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Error + '_ {
    move |error| Error::State {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}
