//! Errors of options, checkpoints and saved states. Each message is one line.

use std::any::Any;

use e2mc_resnet::CheckpointError;

/// A result whose error is [`MethodError`], unless another one is named.
pub type Result<T, E = MethodError> = std::result::Result<T, E>;

/// Characters of a panic that a message has. A driver's backtrace may follow its words.
const PANIC_CHARS: usize = 1000;

/// Why a method, an optimizer or a schedule could not be created, loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// An option is out of range.
    #[error("{option} is {value}, expected {expected}")]
    InvalidOption {
        /// The option's name, as in its configuration.
        option: String,
        /// Its value.
        value: String,
        /// The allowed values.
        expected: &'static str,
    },
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
    /// A checkpoint contains NaN or infinity.
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
    /// The error of a device in whose work Burn panicked, from [`catch_unwind`] or a joined thread.
    /// `place` is its place in a list of `devices` devices, from 1.
    ///
    /// [`catch_unwind`]: std::panic::catch_unwind
    pub fn of_panic(place: usize, devices: usize, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "unknown reason".into());
        let words: Vec<&str> = text.split_whitespace().collect();
        Self::Device {
            place,
            devices,
            problem: words.join(" ").chars().take(PANIC_CHARS).collect(),
        }
    }

    pub(crate) fn state(reason: impl std::fmt::Display) -> Self {
        Self::State {
            reason: reason.to_string(),
        }
    }
}

impl From<e2mc_loss::InvalidOption> for MethodError {
    fn from(error: e2mc_loss::InvalidOption) -> Self {
        Self::InvalidOption {
            option: error.option.into(),
            value: error.value,
            expected: error.expected,
        }
    }
}

/// An option of a method's backbone.
impl From<e2mc_resnet::InvalidOption> for MethodError {
    fn from(error: e2mc_resnet::InvalidOption) -> Self {
        Self::InvalidOption {
            option: format!("backbone.{}", error.option),
            value: error.value,
            expected: error.expected,
        }
    }
}

/// Panics with the message of an invalid option.
pub(crate) fn assert_valid(checked: Result<()>) {
    if let Err(error) = checked {
        panic!("{error}");
    }
}

/// The range of sizes and counts.
pub(crate) const ONE: &str = "at least 1";
/// The range of positive options, such as temperatures.
pub(crate) const POSITIVE: &str = "a number above 0";
/// The range of weights.
pub(crate) const NOT_NEGATIVE: &str = "a number of at least 0";

/// Checks that an option is finite and above 0.
pub(crate) fn check_positive(option: &'static str, value: f64) -> Result<()> {
    check(value.is_finite() && value > 0.0, option, value, POSITIVE)
}

/// Checks that an option is finite and at least 0.
pub(crate) fn check_weight(option: &'static str, value: f64) -> Result<()> {
    check(
        value.is_finite() && value >= 0.0,
        option,
        value,
        NOT_NEGATIVE,
    )
}

/// Checks the sizes of a projector or predictor.
pub(crate) fn check_sizes(option: &'static str, sizes: &[usize]) -> Result<()> {
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
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(MethodError::InvalidOption {
        option: option.into(),
        value: format!("{value:?}"),
        expected,
    })
}
