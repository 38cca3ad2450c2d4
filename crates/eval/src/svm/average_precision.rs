//! Average precision of a ranking. Images with equal scores are one step of the curve, so their
//! order does not matter.

/// Precision and recall after each distinct score, from the highest on.
struct Point {
    /// Images so far.
    found: usize,
    /// Positive images so far.
    hits: usize,
}

impl Point {
    fn precision(&self) -> f64 {
        self.hits as f64 / self.found as f64
    }
}

/// Average precision as in scikit-learn: the sum over the curve's steps of precision times the
/// increase in recall, without interpolation. In (0, 1].
///
/// `scores[i]` ranks image i, higher first; `positive[i]` says whether it shows the class. `None`
/// without a positive image.
///
/// # Panics
///
/// If the lengths differ.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (points, positives) = curve(scores, positive)?;
    let mut before = 0;
    let area = points.iter().map(|point| {
        let gain = point.hits - before;
        before = point.hits;
        gain as f64 * point.precision()
    });
    Some(area.sum::<f64>() / positives as f64)
}

/// Area under the interpolated precision-recall curve, in which each precision is raised to the
/// highest at any larger recall. This is the measure of VOC 2010 and later, and of the paper's
/// VOC07 results. In (0, 1].
///
/// Arguments, `None` and panics as in [`average_precision`].
pub fn interpolated_average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (points, positives) = curve(scores, positive)?;
    let (mut area, mut highest) = (0.0, 0.0f64);
    for (i, point) in points.iter().enumerate().rev() {
        highest = highest.max(point.precision());
        let before = if i == 0 { 0 } else { points[i - 1].hits };
        area += (point.hits - before) as f64 * highest;
    }
    Some(area / positives as f64)
}

/// VOC07's 11-point measure: the highest precision at or above a recall, averaged over the recalls
/// 0, 0.1, ..., 1. In (0, 1].
///
/// Arguments, `None` and panics as in [`average_precision`].
pub fn eleven_point_average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (points, positives) = curve(scores, positive)?;
    let highest_from = |tenths: usize| {
        // Whole numbers, since 0.1 * 3 is more than 0.3.
        let reached = |point: &&Point| 10 * point.hits >= tenths * positives;
        let precisions = points.iter().filter(reached).map(Point::precision);
        precisions.fold(0.0, f64::max)
    };
    Some((0..=10).map(highest_from).sum::<f64>() / 11.0)
}

/// The points of the curve, and the number of positive images.
fn curve(scores: &[f64], positive: &[bool]) -> Option<(Vec<Point>, usize)> {
    assert_eq!(scores.len(), positive.len(), "scores, labels of a ranking");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut points = Vec::new();
    let mut hits = 0;
    for (rank, &image) in order.iter().enumerate() {
        hits += usize::from(positive[image]);
        let last = order.get(rank + 1);
        if last.is_none_or(|&next| scores[next] != scores[image]) {
            points.push(Point {
                found: rank + 1,
                hits,
            });
        }
    }
    (hits > 0).then_some((points, hits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that rank the images in the given order.
    fn ranking(positive: &[bool]) -> (Vec<f64>, &[bool]) {
        (
            (0..positive.len()).map(|rank| -(rank as f64)).collect(),
            positive,
        )
    }

    /// Equal except for the last bits.
    fn assert_exact(got: Option<f64>, want: f64) {
        let got = got.expect("there are positive images");
        assert!(
            (got - want).abs() < 4.0 * f64::EPSILON,
            "{got} instead of {want}"
        );
    }

    #[test]
    fn hand_made_rankings_are_exact() {
        // Hits at ranks 1, 3, 4: precisions 1, 2/3, 3/4.
        let (scores, positive) = ranking(&[true, false, true, true, false]);
        let step = (1.0 + 2.0 / 3.0 + 3.0 / 4.0) / 3.0;
        assert_exact(average_precision(&scores, positive), step);
        // The precision 2/3 is raised to 3/4.
        let raised = (1.0 + 3.0 / 4.0 + 3.0 / 4.0) / 3.0;
        assert_exact(interpolated_average_precision(&scores, positive), raised);
        // Recalls 0 to 0.3 have precision 1, the other seven 3/4.
        let eleven = (4.0 + 7.0 * 0.75) / 11.0;
        assert_exact(eleven_point_average_precision(&scores, positive), eleven);
    }

    #[test]
    fn recall_of_exactly_a_tenth_counts() {
        // Ten positives: the first, then a negative, then the other nine.
        let mut positive = [true; 11];
        positive[1] = false;
        let (scores, positive) = ranking(&positive);
        // Recalls 0 and 0.1 have precision 1, all others 10/11, reached at the end.
        let eleven = (2.0 + 9.0 * (10.0 / 11.0)) / 11.0;
        assert_exact(eleven_point_average_precision(&scores, positive), eleven);
    }

    #[test]
    fn equal_scores_are_one_step() {
        let scores = [1.0, 1.0, 0.0];
        for positive in [[true, false, false], [false, true, false]] {
            assert_eq!(average_precision(&scores, &positive), Some(0.5));
            assert_eq!(
                interpolated_average_precision(&scores, &positive),
                Some(0.5)
            );
        }
    }

    #[test]
    fn nothing_to_find_has_no_precision() {
        assert_eq!(average_precision(&[1.0, 2.0], &[false, false]), None);
        assert_eq!(interpolated_average_precision(&[], &[]), None);
        assert_eq!(eleven_point_average_precision(&[0.0], &[true]), Some(1.0));
    }
}
