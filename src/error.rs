use std::io;
use std::path::{Path, PathBuf};

use e2mc_data::DataError;
use e2mc_eval::EvalError;
use e2mc_resnet::CheckpointError;
use ssl_methods::MethodError;

/// A result whose error is [`Error`], unless another one is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run could not start or continue. Each message is one line. It names the file or field and
/// the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images could not be read or loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The base method rejected a setting, a checkpoint or a saved state.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The evaluation rejected a setting or the features.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// An option, usually a field of the plan, is out of range.
    #[error("{option} is {value}, expected {expected}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        expected: String,
    },
    /// A setting given by its path does not exist or has an invalid value.
    #[error("setting {path} cannot be {value}: expected {expected}")]
    Setting {
        /// The path in the plan.
        path: String,
        /// The given value.
        value: String,
        /// The allowed values.
        expected: String,
    },
    /// A plan file cannot be used.
    #[error("plan {}: {reason}", .path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint's method differs from the plan's.
    #[error(
        "{}: a checkpoint of {found}, but the plan is for {planned}; choose that method's preset",
        .path.display()
    )]
    OtherMethod {
        /// The checkpoint.
        path: PathBuf,
        /// The layout that its names show.
        found: String,
        /// The plan's method.
        planned: &'static str,
    },
    /// No classifier can be trained and tested on the images.
    #[error("nothing can be probed: {problem}")]
    NotProbed {
        /// Why not.
        problem: String,
    },
    /// The run folder cannot be used.
    #[error("run folder {}: {problem}", .path.display())]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// The problem and the remedy.
        problem: String,
    },
    /// A file of the run could not be read or written.
    #[error("{} cannot be {action}: {cause}{}", .path.display(), way_out(action, cause))]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// The operating system's error.
        cause: io::Error,
    },
    /// A file of the run cannot be parsed.
    #[error("{}: {reason}", .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The problem and the remedy.
        reason: String,
    },
    /// A loss or gradient was infinite or NaN in too many consecutive steps.
    #[error(
        "{branch}: the {term} was infinite or NaN in {skipped} steps in a row, up to step {step}; \
         the last good state is saved. Lower the learning rate or the criterion's weights"
    )]
    Diverged {
        /// The branch that was training.
        branch: String,
        /// The term that was not finite first.
        term: String,
        /// Steps in a row.
        skipped: usize,
        /// The last of them, from 0.
        step: usize,
    },
    /// The memory of a device was exhausted.
    #[error(
        "{branch}: a device has no memory for {images} images at once ({problem}); the state \
         before the step is saved. Start again in another folder with --micro-batch auto, fewer \
         images at once, or a smaller batch"
    )]
    OutOfMemory {
        /// The branch that was training.
        branch: String,
        /// Images that passed through the network at once.
        images: usize,
        /// What the driver or Burn said.
        problem: String,
    },
    /// A device failed, and the weights could not be read from it.
    #[error(
        "{cause}. The weights cannot be read from it any more: repeat the command to resume from \
         the newest saved state"
    )]
    NotSaved {
        /// The failure.
        cause: Box<Error>,
    },
    /// The loss of a fine-tuning was infinite or NaN.
    #[error(
        "the loss of the fine-tuning became infinite or NaN in epoch {epoch}: lower backbone_rate \
         and head_rate"
    )]
    FinetuneDiverged {
        /// The epoch, counted from 1.
        epoch: usize,
    },
    /// The run was stopped on request and has saved its state.
    #[error("stopped; everything up to here is saved in {}", .folder.display())]
    Stopped {
        /// The run folder.
        folder: PathBuf,
    },
}

/// The remedy if a file cannot be written; empty if the system's message suffices.
fn way_out(action: &str, cause: &io::Error) -> &'static str {
    match (action, cause.kind()) {
        ("written", io::ErrorKind::StorageFull) => {
            "; free some space, then resume: earlier files are intact"
        }
        ("written", io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            "; choose a folder that you may write to"
        }
        _ => "",
    }
}

impl Error {
    /// Whether the training that failed so can be saved: its last step changed nothing.
    pub(crate) fn leaves_a_whole_state(&self) -> bool {
        matches!(
            self,
            Self::Diverged { .. }
                | Self::OutOfMemory { .. }
                | Self::Method(MethodError::Device { .. })
        )
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        Self::io(path, "read")
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        Self::io(path, "written")
    }

    fn io<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + 'a {
        move |cause| Self::Io {
            path: path.to_path_buf(),
            action,
            cause,
        }
    }

    pub(crate) fn invalid(
        option: &'static str,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::InvalidOption {
            option,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    pub(crate) fn state(path: &Path, reason: impl Into<String>) -> Self {
        Self::State {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}
