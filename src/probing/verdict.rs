use e2mc_eval::statistics::{detectable_by_mcnemar, detectable_difference};
use serde::{Deserialize, Serialize};

use super::Comparison;
use crate::Result;

/// Probability of a false positive, over all amounts of labels together.
const LEVEL: f64 = 0.05;
/// Probability of detecting the smallest detectable difference.
const POWER: f64 = 0.8;

/// Whether one backbone's features are better than another's. The tests have a level of 5% over all
/// amounts of labels together (Holm's method).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the backbone.
    pub backbone: String,
    /// Name of the reference backbone.
    pub reference: String,
    /// One for each amount of labels.
    pub amounts: Vec<AmountVerdict>,
}

/// The verdict with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AmountVerdict {
    /// The classifier: the share of the labels for a linear probe, such as `10%`.
    pub probe: String,
    /// The outcome of the test.
    pub outcome: Outcome,
    /// Mean difference in accuracy, in percentage points.
    pub difference: f64,
    /// p-value of the paired t test over the draws of labels. With a single draw, of McNemar's test
    /// over the test images.
    pub p_value: f64,
    /// Draws of labels.
    pub draws: usize,
    /// The smallest difference, in percentage points, that the test detects with a probability of
    /// 80% at its share of the level.
    pub detectable: f64,
}

/// The outcome of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The backbone is better than the reference.
    Helped,
    /// The backbone is worse than the reference.
    Hurt,
    /// No significant difference was found.
    NoDifference,
}

impl Verdict {
    /// The verdict on a backbone, given its comparisons with one reference. None without
    /// comparisons.
    ///
    /// # Errors
    ///
    /// If a comparison has no draw or no test image.
    pub(crate) fn of(comparisons: &[&Comparison]) -> Result<Option<Self>> {
        let Some(first) = comparisons.first() else {
            return Ok(None);
        };
        let share = LEVEL / comparisons.len() as f64;
        let amounts = comparisons
            .iter()
            .map(|comparison| AmountVerdict::of(comparison, share));
        let mut amounts = amounts.collect::<Result<Vec<_>, _>>()?;
        decide(&mut amounts);
        Ok(Some(Self {
            backbone: first.backbone.clone(),
            reference: first.reference.clone(),
            amounts,
        }))
    }

    /// The verdict in one sentence, with the titles of the two backbones.
    pub fn sentence(&self, backbone: &str, reference: &str) -> String {
        let found = [
            (Outcome::Helped, "helped"),
            (Outcome::Hurt, "hurt"),
            (Outcome::NoDifference, "no difference found"),
        ];
        let found = found.into_iter().filter_map(|(outcome, words)| {
            let of_outcome = self.amounts.iter().filter(|of| of.outcome == outcome);
            let names = of_outcome.map(|of| match outcome {
                Outcome::NoDifference => of.probe.clone(),
                _ => format!("{} ({:+.2} points)", of.probe, of.difference),
            });
            let names: Vec<String> = names.collect();
            (!names.is_empty()).then(|| format!("{words} at {}", listed(&names)))
        });
        let detectable = self
            .amounts
            .iter()
            .map(|of| format!("{:.2} points at {}", of.detectable, of.probe));
        format!(
            "{backbone} against {reference}: {}; this run could have found {}.",
            found.collect::<Vec<_>>().join(", "),
            listed(&detectable.collect::<Vec<_>>()),
        )
    }
}

impl AmountVerdict {
    /// The test's numbers. The outcome is decided with all amounts together.
    fn of(comparison: &Comparison, level: f64) -> Result<Self> {
        let draws = &comparison.draws;
        let (p_value, detectable) = match (&comparison.over_draws, draws.first()) {
            (None, Some(only)) => {
                let test = &only.tests.mcnemar;
                let disagreements = test.n01 + test.n10;
                let found = detectable_by_mcnemar(only.images, disagreements, level, POWER)?;
                (test.p_value, 100.0 * found)
            }
            (test, _) => {
                let differences = draws.iter().map(|d| d.accuracy_after - d.accuracy_before);
                let differences: Vec<f64> = differences.collect();
                let found = detectable_difference(&differences, level, POWER)?;
                (test.map_or(1.0, |test| test.p_value), found)
            }
        };
        Ok(Self {
            probe: comparison.probe.clone(),
            outcome: Outcome::NoDifference,
            difference: comparison.difference.mean,
            p_value,
            draws: draws.len(),
            detectable,
        })
    }
}

/// Holm's method: with k tests left, the smallest p is compared with the level divided by k. It
/// stops at the first p that is not below.
fn decide(amounts: &mut [AmountVerdict]) {
    let mut order: Vec<usize> = (0..amounts.len()).collect();
    order.sort_by(|&a, &b| amounts[a].p_value.total_cmp(&amounts[b].p_value));
    for (rank, &at) in order.iter().enumerate() {
        let left = (order.len() - rank) as f64;
        let amount = &mut amounts[at];
        if amount.p_value >= LEVEL / left {
            return;
        }
        amount.outcome = match amount.difference > 0.0 {
            true => Outcome::Helped,
            false => Outcome::Hurt,
        };
    }
}

/// `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(figures: &[(&str, f64, f64, f64)]) -> Verdict {
        let amounts = figures
            .iter()
            .map(|&(probe, difference, p_value, detectable)| AmountVerdict {
                probe: probe.into(),
                outcome: Outcome::NoDifference,
                difference,
                p_value,
                draws: 3,
                detectable,
            });
        let mut amounts: Vec<_> = amounts.collect();
        decide(&mut amounts);
        Verdict {
            backbone: "e2mc".into(),
            reference: "continued".into(),
            amounts,
        }
    }

    #[test]
    fn the_sentence_says_what_the_tests_say() {
        let sentence = |figures: &[_]| verdict(figures).sentence("+ E2MC", "continued");
        assert_eq!(
            sentence(&[
                ("1%", 0.1, 0.4, 0.3),
                ("10%", -0.1, 0.2, 0.21),
                ("100%", 0.0, 1.0, 0.5)
            ]),
            "+ E2MC against continued: no difference found at 1%, 10% and 100%; this run could \
             have found 0.30 points at 1%, 0.21 points at 10% and 0.50 points at 100%."
        );
        assert_eq!(
            sentence(&[
                ("1%", 0.42, 1e-4, 0.3),
                ("10%", 0.1, 0.5, 0.2),
                ("100%", -1.0, 0.01, 0.5)
            ]),
            "+ E2MC against continued: helped at 1% (+0.42 points), hurt at 100% (-1.00 points), \
             no difference found at 10%; this run could have found 0.30 points at 1%, 0.20 points \
             at 10% and 0.50 points at 100%."
        );
        assert_eq!(
            sentence(&[("5/class", -0.5, 0.049, 0.4)]),
            "+ E2MC against continued: hurt at 5/class (-0.50 points); this run could have found \
             0.40 points at 5/class."
        );
    }

    #[test]
    fn the_level_is_that_of_all_amounts_together() {
        let outcomes = |ps: [f64; 3]| {
            let figures = ["1%", "10%", "100%"].into_iter().zip(ps);
            let figures: Vec<_> = figures.map(|(probe, p)| (probe, 1.0, p, 0.3)).collect();
            verdict(&figures)
                .amounts
                .into_iter()
                .map(|of| of.outcome)
                .collect::<Vec<_>>()
        };
        use Outcome::{Helped, NoDifference};
        // Not below a third of 5%, so nothing is decided.
        assert_eq!(outcomes([0.02, 0.3, 0.02]), [NoDifference; 3]);
        // The first is below a third, the second below a half, the third not below the level.
        assert_eq!(
            outcomes([0.024, 0.051, 0.016]),
            [Helped, NoDifference, Helped]
        );
        assert_eq!(outcomes([0.049, 0.024, 0.016]), [Helped; 3]);
    }
}
