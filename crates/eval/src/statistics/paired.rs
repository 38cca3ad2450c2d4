use crate::{EvalError, Result};

/// How often two models disagree on the same images.
///
/// All paired statistics on correctness depend on these three counts only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairedCounts {
    /// Number of images.
    pub n: usize,
    /// Images on which only the second model is right.
    pub n01: usize,
    /// Images on which only the first model is right.
    pub n10: usize,
}

impl PairedCounts {
    pub fn new(first: &[bool], second: &[bool]) -> Result<Self> {
        if first.len() != second.len() {
            return Err(EvalError::Unpaired {
                first: first.len(),
                second: second.len(),
            });
        }
        if first.is_empty() {
            return Err(EvalError::Empty {
                what: "images to compare two models on",
            });
        }
        let (mut n01, mut n10) = (0, 0);
        for (&a, &b) in first.iter().zip(second) {
            n01 += usize::from(!a && b);
            n10 += usize::from(a && !b);
        }
        Ok(Self {
            n: first.len(),
            n01,
            n10,
        })
    }

    /// Mean of the per-image differences in correctness, in [-1, 1].
    pub fn mean_difference(&self) -> f64 {
        (self.n01 as f64 - self.n10 as f64) / self.n as f64
    }
}
