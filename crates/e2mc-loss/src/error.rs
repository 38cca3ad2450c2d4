use thiserror::Error;

/// An option of a configuration that is out of range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{option} is {value}, expected {expected}")]
#[non_exhaustive]
pub struct InvalidOption {
    /// The option's name, as in its configuration.
    pub option: &'static str,
    /// Its value.
    pub value: String,
    /// The allowed values.
    pub expected: &'static str,
}

/// The loss is NaN or infinite because an embedding is.
///
/// Returned by [`E2mcOutput::check_finite`](crate::E2mcOutput::check_finite).
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error(
    "the E2MC loss is {loss}: an embedding is NaN or infinite; skip the step, or lower the \
     learning rate or the criterion's weights"
)]
pub struct NotFinite {
    /// The loss found.
    pub loss: f32,
}
