//! What can go wrong with options, checkpoints and saved states, each in one line.

use e2mc_resnet::CheckpointError;

/// Why a method, an optimiser or a schedule could not be made, loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// An option is out of its range.
    #[error("option {option} is {value}, expected {expected}")]
    InvalidOption {
        /// Name of the option, as in its configuration.
        option: &'static str,
        /// Its value.
        value: String,
        /// The range.
        expected: &'static str,
    },
    /// A checkpoint could not be read, loaded or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint holds NaN or an infinity.
    #[error(
        "checkpoint {path}: tensor {name} has values that are not finite; the run that wrote it had diverged, use an earlier checkpoint"
    )]
    NotFinite {
        /// The checkpoint.
        path: String,
        /// Name of the first such tensor.
        name: String,
    },
    /// A saved [`MethodState`](crate::MethodState) is damaged or belongs to another method or configuration.
    #[error(
        "saved state of the method does not fit ({reason}); resume with the configuration that wrote it"
    )]
    State {
        /// What was found and expected.
        reason: String,
    },
}

impl MethodError {
    pub(crate) fn state(reason: impl std::fmt::Display) -> Self {
        Self::State {
            reason: reason.to_string(),
        }
    }
}

/// Checks an option, whose name and range the message gives.
pub(crate) fn check(
    fits: bool,
    option: &'static str,
    value: impl std::fmt::Debug,
    expected: &'static str,
) -> Result<(), MethodError> {
    if fits {
        return Ok(());
    }
    Err(MethodError::InvalidOption {
        option,
        value: format!("{value:?}"),
        expected,
    })
}
