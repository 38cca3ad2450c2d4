use std::fmt;

use e2mc_eval::statistics::paired_t;
use serde::Serialize;

use crate::Error;

/// Whether differences have the direction that the paper has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// Differences of the paper's sign, with a 95% interval over the seeds without 0.
    pub same: usize,
    /// Those of the other sign.
    pub opposite: usize,
    /// Those whose interval has 0 in it, or that a single seed measured.
    pub undecided: usize,
}

impl Direction {
    /// Counts a difference: the paper's, and ours of each seed whose run is finished.
    ///
    /// # Errors
    /// If a difference is not finite.
    pub(super) fn count(&mut self, paper: f64, ours: &[f64]) -> Result<(), Error> {
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
