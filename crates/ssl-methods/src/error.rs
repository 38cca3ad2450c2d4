//! Errors of options, checkpoints and saved states. Each message is one line.

use e2mc_resnet::CheckpointError;

/// Why a method, an optimizer or a schedule could not be created, loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// An option is out of range.
    #[error("option {option} is {value}, expected {expected}")]
    InvalidOption {
        /// Name of the option, as in its configuration.
        option: &'static str,
        /// Its value.
        value: String,
        /// The range.
        expected: &'static str,
    },
    /// An option of the E2MC criterion is out of range.
    #[error(transparent)]
    E2mc(#[from] e2mc_loss::InvalidConfig),
    /// A checkpoint's optimizer state does not fit the method.
    #[error(
        "momentum of {name} is {found:?}, but the parameter is {expected:?}; continue without the \
         optimizer's state"
    )]
    Momentum {
        /// The parameter's name in the checkpoint.
        name: String,
        /// Its shape there.
        expected: Vec<usize>,
        /// The shape of its momentum.
        found: Vec<usize>,
    },
    /// A checkpoint could not be read, loaded or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint holds NaN or an infinity.
    #[error(
        "checkpoint {path}: tensor {name} has values that are not finite; the run that wrote it \
         had diverged, use an earlier checkpoint"
    )]
    NotFinite {
        /// The checkpoint.
        path: String,
        /// Name of the first such tensor.
        name: String,
    },
    /// A saved [`MethodState`](crate::MethodState) is damaged or belongs to another method or
    /// configuration.
    #[error(
        "saved state of the method does not fit ({reason}); resume with the configuration that \
         wrote it"
    )]
    State {
        /// What was found and expected.
        reason: String,
    },
    /// A device failed while it computed its share of a batch: it was lost, or its memory is too
    /// small.
    #[error(
        "device {place} of {devices} failed in a training step: {problem}. If its memory was too \
         small, use smaller micro-batches"
    )]
    Device {
        /// Place in the list of devices, from 1.
        place: usize,
        /// Length of the list.
        devices: usize,
        /// What the device's driver or Burn said.
        problem: String,
    },
}

impl MethodError {
    pub(crate) fn state(reason: impl std::fmt::Display) -> Self {
        Self::State {
            reason: reason.to_string(),
        }
    }
}

/// The range of sizes and counts.
pub(crate) const ONE: &str = "at least 1";
/// The range of positive options, such as temperatures.
pub(crate) const POSITIVE: &str = "a number above 0";
/// The range of weights.
pub(crate) const NOT_NEGATIVE: &str = "a number of at least 0";

/// Checks that an option is finite and above 0.
pub(crate) fn check_positive(option: &'static str, value: f64) -> Result<(), MethodError> {
    check(value.is_finite() && value > 0.0, option, value, POSITIVE)
}

/// Checks that an option is finite and at least 0.
pub(crate) fn check_weight(option: &'static str, value: f64) -> Result<(), MethodError> {
    check(
        value.is_finite() && value >= 0.0,
        option,
        value,
        NOT_NEGATIVE,
    )
}

/// Checks the sizes of a projector or predictor.
pub(crate) fn check_sizes(option: &'static str, sizes: &[usize]) -> Result<(), MethodError> {
    check(
        !sizes.is_empty() && sizes.iter().all(|&d| d > 0),
        option,
        sizes,
        "sizes of at least 1, one or more",
    )
}

/// Checks an option. The message names it and its range.
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
