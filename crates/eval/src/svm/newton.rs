use super::line_search::Line;
use super::rows::Rows;

/// A fit fails after this many steps; about ten are usual.
const MAX_STEPS: usize = 500;

/// Share of the gradient at which the first conjugate-gradient solution stops.
const FORCING: f64 = 0.1;

/// One SVM to train.
pub(super) struct Problem<'a> {
    pub features: &'a Rows,
    /// Rows of the training images.
    pub rows: Vec<usize>,
    /// 1 for images that show the class, -1 for the others.
    pub signs: Vec<f64>,
    /// Weight of each image's loss.
    pub weights: Vec<f64>,
}

/// Weights and bias `[d + 1]`, with the scores of the training images.
#[derive(Clone)]
pub(super) struct Solution {
    pub weight: Vec<f64>,
    scores: Vec<f64>,
}

impl Problem<'_> {
    pub fn zero(&self) -> Solution {
        Solution {
            weight: vec![0.0; self.features.width()],
            scores: vec![0.0; self.rows.len()],
        }
    }

    /// Improves `solution` until the gradient norm is at most `tolerance`, or `tolerance` times the
    /// norm at 0 if that is below 1. Returns whether it succeeded.
    ///
    /// The objective curves at least as |w|^2 / 2, so the weights are then within `tolerance` of
    /// the minimum, and the score of x within `tolerance |x|`.
    ///
    /// Newton's method (Keerthi and DeCoste 2005). For a fixed set of images inside the margin, the
    /// objective is quadratic. Conjugate gradients minimize it, and a line search over the whole
    /// objective follows.
    pub fn solve(&self, cost: f64, tolerance: f64, solution: &mut Solution) -> bool {
        let weights: Vec<f64> = self.weights.iter().map(|c| 2.0 * cost * c).collect();
        let factors: Vec<f64> = weights
            .iter()
            .zip(&self.signs)
            .map(|(c, y)| c * y)
            .collect();
        let at_zero = norm(&self.features.combination(&self.rows, &factors));
        let goal = tolerance * at_zero.min(1.0);
        // Starting from the solution for another cost, first scale it.
        if solution.scores.iter().any(|&score| score != 0.0) {
            let (direction, scores) = (solution.weight.clone(), solution.scores.clone());
            self.step(solution, &weights, direction, &scores);
        }
        let mut start = None;
        for _ in 0..MAX_STEPS {
            let (active, factors, loss_factors) = self.active(solution, &weights);
            let pull = self.features.combination(&active, &loss_factors);
            let descent: Vec<f64> = pull
                .iter()
                .zip(&solution.weight)
                .map(|(p, w)| p - w)
                .collect();
            let length = norm(&descent);
            if length <= goal {
                return true;
            }
            let share = length / *start.get_or_insert(length);
            let left = (FORCING * share.sqrt()).max(0.5 * goal / length);
            let direction = self.newton_direction(&active, &factors, &descent, left);
            let scores = self.features.scores(&self.rows, &direction);
            self.step(solution, &weights, direction, &scores);
        }
        false
    }

    /// The rows whose loss is not 0, with `2 C c` and `2 C c y (1 - y w.x)` of each.
    fn active(&self, solution: &Solution, weights: &[f64]) -> (Vec<usize>, Vec<f64>, Vec<f64>) {
        let (mut rows, mut factors, mut loss_factors) = (Vec::new(), Vec::new(), Vec::new());
        for (i, score) in solution.scores.iter().enumerate() {
            let slack = 1.0 - self.signs[i] * score;
            if slack > 0.0 {
                rows.push(self.rows[i]);
                factors.push(weights[i]);
                loss_factors.push(weights[i] * self.signs[i] * slack);
            }
        }
        (rows, factors, loss_factors)
    }

    /// Conjugate gradients on `(I + sum factor x x^T) p = descent` until the residual is the share
    /// `left` of the right side.
    fn newton_direction(
        &self,
        active: &[usize],
        factors: &[f64],
        descent: &[f64],
        left: f64,
    ) -> Vec<f64> {
        let mut solution = vec![0.0; descent.len()];
        let mut residual = descent.to_vec();
        let mut search = residual.clone();
        let mut squares = dot(&residual, &residual);
        let goal = squares * left * left;
        // Without rounding, it is exact after as many steps as there are dimensions.
        for _ in 0..2 * descent.len() {
            let mut product = self.features.product(active, factors, &search);
            add(&mut product, 1.0, &search);
            let step = squares / dot(&search, &product);
            add(&mut solution, step, &search);
            add(&mut residual, -step, &product);
            let before = std::mem::replace(&mut squares, dot(&residual, &residual));
            if squares <= goal {
                break;
            }
            for (search, residual) in search.iter_mut().zip(&residual) {
                *search = residual + squares / before * *search;
            }
        }
        solution
    }

    /// Moves to the minimum along the direction. `scores` are its products with the rows.
    fn step(&self, solution: &mut Solution, weights: &[f64], direction: Vec<f64>, scores: &[f64]) {
        let signed = |scores: &[f64]| -> Vec<f64> {
            scores.iter().zip(&self.signs).map(|(s, y)| s * y).collect()
        };
        let slack: Vec<f64> = signed(&solution.scores).iter().map(|m| 1.0 - m).collect();
        let line = Line {
            inner: [
                dot(&solution.weight, &direction),
                dot(&direction, &direction),
            ],
            weights,
            slack: &slack,
            fall: &signed(scores),
        };
        let t = line.minimum();
        add(&mut solution.weight, t, &direction);
        add(&mut solution.scores, t, scores);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// `sum += factor * other`
fn add(sum: &mut [f64], factor: f64, other: &[f64]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += factor * other;
    }
}
