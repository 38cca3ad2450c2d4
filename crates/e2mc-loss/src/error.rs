use thiserror::Error;

/// A setting of [`E2mcLossConfig`](crate::E2mcLossConfig) outside its allowed range.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A weight is negative, NaN, infinite, or too large for f32.
    #[error("{field} is {value}, expected a finite number, 0 or greater; 0 switches the term off")]
    Weight {
        /// The field's name: `entropy_weight` or `covariance_weight`.
        field: &'static str,
        /// The value found.
        value: f64,
    },
    /// `epsilon` is zero, negative, NaN, or outside the range in which f32 gradients stay finite.
    #[error("epsilon is {value}, expected a number from 1e-30 to 1; the paper uses 1e-7")]
    Epsilon {
        /// The value found.
        value: f64,
    },
    /// `spacing` is `Some(0)`.
    #[error("spacing is 0, expected 1 or greater, or none for round(sqrt(n))")]
    Spacing,
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
