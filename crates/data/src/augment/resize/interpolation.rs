use serde::{Deserialize, Serialize};

/// The filter of a resize, antialiased: its support grows with the reduction, as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Cubic convolution with a = -0.5.
    Bicubic,
}

impl Interpolation {
    /// Half the filter's width at scale 1.
    pub(super) fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    pub(super) fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((x - 5.0) * x + 8.0) * x * -0.5 + 2.0,
            _ => 0.0,
        }
    }
}
