use std::path::{Path, PathBuf};

use e2mc_data::DataError;
use e2mc_eval::EvalError;
use e2mc_loss::InvalidConfig;
use e2mc_resnet::CheckpointError;
use ssl_methods::MethodError;

/// Why a run could not start or go on; each message is one line that names the file or option and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images could not be read or loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The base method refused an option, a checkpoint or a saved state.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The criterion refused an option.
    #[error(transparent)]
    Criterion(#[from] InvalidConfig),
    /// The evaluation refused an option or the features.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// An option is outside its range.
    #[error("option {option} is {value}, expected {expected}")]
    Option {
        /// The option's name, as on the command line.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// The run folder holds something else than this run.
    #[error("run folder {}: {problem}; choose another --output or delete the folder", .path.display())]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        problem: String,
    },
    /// A file of the run could not be read or written.
    #[error("{}: {source}; check that the folder is writable and the disk has space", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A saved state of the run cannot be read back.
    #[error("{}: saved state cannot be read ({reason}); delete it to repeat the branch from its start", .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A loss term stopped being finite.
    #[error(
        "{branch}: the {term} is no longer finite at step {step}; lower --learning-rate or the criterion's weights"
    )]
    Diverged {
        /// The branch that was training.
        branch: &'static str,
        /// The term that diverged first.
        term: String,
        /// The step, from 0.
        step: usize,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn option(
        option: &'static str,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Option {
            option,
            value: value.to_string(),
            expected: expected.into(),
        }
    }
}
