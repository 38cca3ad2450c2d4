use std::fmt;

use e2mc_eval::statistics::paired_t;
use serde::Serialize;

use crate::Result;

/// Whether differences have the paper's sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// Differences with the paper's sign whose 95% interval over the seeds excludes 0.
    pub same: usize,
    /// Differences with the opposite sign whose interval excludes 0.
    pub opposite: usize,
    /// Differences whose interval includes 0, or with a single seed.
    pub undecided: usize,
}

impl Direction {
    /// Counts one difference, given the paper's value and ours for each seed with a finished run.
    ///
    /// # Errors
    ///
    /// If a difference is not finite.
    pub(super) fn count(&mut self, paper: f64, ours: &[f64]) -> Result<()> {
        let found = match ours.len() {
            0 => return Ok(()),
            1 => 0.0,
            _ => match paired_t(ours)?.interval_95 {
                [low, _] if low > 0.0 => 1.0,
                [_, high] if high < 0.0 => -1.0,
                _ => 0.0,
            },
        };
        match found * paper {
            sign if sign > 0.0 => self.same += 1,
            sign if sign < 0.0 => self.opposite += 1,
            _ => self.undecided += 1,
        }
        Ok(())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            same,
            opposite,
            undecided,
        } = self;
        let all = same + opposite + undecided;
        let word = match (same, opposite) {
            _ if all == 0 => return f.write_str("Its runs are not finished."),
            (0, 0) => "No direction found",
            (_, 0) if same > undecided => "Same direction",
            (_, 0) => "Same direction in part",
            (0, _) => "Opposite direction",
            _ => "Mixed",
        };
        write!(
            f,
            "{word}: of {all} differences {same} have the paper's sign, {opposite} the opposite \
             sign, and {undecided} cannot be told from 0 (95% interval over the seeds)."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_by_their_interval() {
        let mut direction = Direction::default();
        direction.count(1.5, &[0.5, 0.6, 0.55]).unwrap();
        direction.count(1.5, &[-0.5, -0.6, -0.55]).unwrap();
        direction.count(1.5, &[0.5, -0.6, 0.1]).unwrap();
        direction.count(1.5, &[7.0]).unwrap();
        direction.count(0.0, &[0.5, 0.6, 0.55]).unwrap();
        assert_eq!(
            Direction::default().to_string(),
            "Its runs are not finished."
        );
        direction.count(1.5, &[]).unwrap();
        let expected = Direction {
            same: 1,
            opposite: 1,
            undecided: 3,
        };
        assert_eq!(direction, expected);
        assert!(
            direction
                .to_string()
                .starts_with("Mixed: of 5 differences 1 have")
        );
    }
}
