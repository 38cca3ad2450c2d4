/// An option of a configuration that is out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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

impl InvalidOption {
    /// Returns an error unless the option `fits`.
    pub(crate) fn check(
        fits: bool,
        option: &'static str,
        value: impl std::fmt::Debug,
        expected: &'static str,
    ) -> Result<(), Self> {
        match fits {
            true => Ok(()),
            false => Err(Self {
                option,
                value: format!("{value:?}"),
                expected,
            }),
        }
    }
}
