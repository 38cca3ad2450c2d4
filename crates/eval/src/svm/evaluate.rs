use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::average_precision::{
    average_precision, eleven_point_average_precision, interpolated_average_precision,
};
use super::folds::stratified;
use super::newton::{Problem, Solution};
use super::rows::Rows;
use super::{ObjectLabels, Presence, SvmConfig};
use crate::{EvalError, FeaturesPart, Result};

/// Gradient norm at which a fit ends. Decision values of features of length 1 are then within
/// 1.5e-4 of the values at the minimum.
const TOLERANCE: f64 = 1e-4;

/// The result of [`svm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SvmResult {
    /// Mean over the classes of [`SvmClass::average_precision`], in (0, 1]: the paper's mAP.
    pub mean_average_precision: f64,
    /// Mean over the classes of [`SvmClass::eleven_point`], in (0, 1].
    pub mean_eleven_point: f64,
    /// One entry per class, in the order of the labels.
    pub classes: Vec<SvmClass>,
}

/// The SVM of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SvmClass {
    /// The value of C with the highest mean in [`validation`](Self::validation); the smallest of
    /// equal ones.
    pub cost: f64,
    /// Mean over the folds of the [`average_precision`] on held-out training images, for each value
    /// of C.
    pub validation: Vec<f64>,
    /// [`interpolated_average_precision`] on the test images; `None` if no test image shows the
    /// class.
    pub average_precision: Option<f64>,
    /// [`eleven_point_average_precision`] on the test images, or `None` as above.
    pub eleven_point: Option<f64>,
    /// Decision value of each test image: positive if the class is predicted.
    pub scores: Vec<f64>,
}

/// Trains one linear SVM per class on the training features and tests them on the test features.
///
/// Features are a whole `&Features` or a [`part`](crate::Features::part); their own labels are
/// ignored. A class without a positive test image has no average precision and is left out of the
/// means. Separable classes are no special case: as C grows, the SVM converges to the one with the
/// largest margin.
///
/// Fits of all classes and folds run in parallel on the CPU (rayon), in f64 on f32 features.
/// Memory: one copy of the training features, and for each fit a few vectors of n and of d numbers.
/// Results do not depend on the number of threads.
///
/// # Errors
///
/// - [`EvalError::InvalidOption`] for a setting out of range
/// - [`EvalError::DimensionMismatch`] and [`EvalError::ClassMismatch`] if the dimensions or classes
///   of the two sets differ, [`EvalError::LabelCount`] if the numbers of labels and features differ
/// - [`EvalError::ClassTooSmall`] if a class has fewer positive or negative training images than
///   folds
/// - [`EvalError::Empty`] if no class has a positive test image
/// - [`EvalError::NotConverged`] if rounding prevents convergence, as with very large features that
///   are not normalized
pub fn svm<'a, 'b>(
    train: impl Into<FeaturesPart<'a>>,
    train_labels: &ObjectLabels,
    test: impl Into<FeaturesPart<'b>>,
    test_labels: &ObjectLabels,
    config: &SvmConfig,
) -> Result<SvmResult> {
    let (train, test) = (train.into(), test.into());
    config.validate()?;
    check_sets(&train, train_labels, &test, test_labels)?;
    let classes = train_labels.classes();
    let learned: Vec<Learned> = (0..classes)
        .map(|class| Learned::new(train_labels, class, config))
        .collect::<Result<_, _>>()?;

    let features = Rows::new(&train, config.normalize);
    let folds: Vec<(usize, usize)> = (0..classes)
        .flat_map(|class| (0..config.folds).map(move |fold| (class, fold)))
        .collect();
    // All results are awaited, so that the error of the first failing class is returned.
    let validation: Vec<Result<Vec<f64>>> = folds
        .par_iter()
        .map(|&(class, fold)| learned[class].validate(class, fold, &features, config))
        .collect();
    let validation: Vec<Vec<f64>> = validation.into_iter().collect::<Result<_, _>>()?;
    let chosen: Vec<(usize, Vec<f64>)> = validation
        .chunks_exact(config.folds)
        .map(|folds| choose(folds, config.costs.len()))
        .collect();
    let weights: Vec<Result<Vec<f64>>> = chosen
        .par_iter()
        .enumerate()
        .map(|(class, &(at, _))| learned[class].fit(class, config.costs[at], &features, config))
        .collect();
    let weights: Vec<Vec<f64>> = weights.into_iter().collect::<Result<_, _>>()?;
    drop(features);

    let mut results = Vec::with_capacity(classes);
    let testing = Rows::new(&test, config.normalize);
    let all: Vec<usize> = (0..test.len()).collect();
    for (class, ((at, validation), weight)) in chosen.into_iter().zip(weights).enumerate() {
        let scores = testing.scores(&all, &weight);
        let (mut counted, mut positive) = (Vec::new(), Vec::new());
        for (presence, &score) in test_labels.of_class(class).zip(&scores) {
            if presence != Presence::Difficult {
                counted.push(score);
                positive.push(presence == Presence::Present);
            }
        }
        results.push(SvmClass {
            cost: config.costs[at],
            validation,
            average_precision: interpolated_average_precision(&counted, &positive),
            eleven_point: eleven_point_average_precision(&counted, &positive),
            scores,
        });
    }
    let mean = |of: fn(&SvmClass) -> Option<f64>| {
        let known: Vec<f64> = results.iter().filter_map(of).collect();
        match known.len() {
            0 => Err(EvalError::Empty {
                what: "test images that show a class",
            }),
            n => Ok(known.iter().sum::<f64>() / n as f64),
        }
    };
    Ok(SvmResult {
        mean_average_precision: mean(|class| class.average_precision)?,
        mean_eleven_point: mean(|class| class.eleven_point)?,
        classes: results,
    })
}

fn check_sets(
    train: &FeaturesPart<'_>,
    train_labels: &ObjectLabels,
    test: &FeaturesPart<'_>,
    test_labels: &ObjectLabels,
) -> Result<()> {
    if train.dims() != test.dims() {
        return Err(EvalError::DimensionMismatch {
            train: train.dims(),
            test: test.dims(),
        });
    }
    if train_labels.classes() != test_labels.classes() {
        return Err(EvalError::ClassMismatch {
            train: train_labels.classes(),
            test: test_labels.classes(),
        });
    }
    for (part, labels) in [(train, train_labels), (test, test_labels)] {
        if part.len() != labels.images() {
            return Err(EvalError::LabelCount {
                images: part.len(),
                labels: labels.images(),
            });
        }
    }
    Ok(())
}

/// The position of the best cost, and the mean over the folds for each cost.
fn choose(folds: &[Vec<f64>], costs: usize) -> (usize, Vec<f64>) {
    let mean = |at| folds.iter().map(|fold| fold[at]).sum::<f64>() / folds.len() as f64;
    let validation: Vec<f64> = (0..costs).map(mean).collect();
    let mut best = 0;
    for (at, &precision) in validation.iter().enumerate() {
        if precision > validation[best] {
            best = at;
        }
    }
    (best, validation)
}

/// The training images of one class.
struct Learned {
    rows: Vec<usize>,
    positive: Vec<bool>,
    /// The fold in which each image is held out.
    fold: Vec<usize>,
}

impl Learned {
    fn new(labels: &ObjectLabels, class: usize, config: &SvmConfig) -> Result<Self> {
        let (mut rows, mut positive) = (Vec::new(), Vec::new());
        for (row, presence) in labels.of_class(class).enumerate() {
            if presence != Presence::Difficult || config.difficult_as_negative {
                rows.push(row);
                positive.push(presence == Presence::Present);
            }
        }
        let positives = positive.iter().filter(|&&positive| positive).count();
        for (found, kind) in [(positives, "show"), (rows.len() - positives, "do not show")] {
            if found < config.folds {
                return Err(EvalError::ClassTooSmall {
                    class,
                    found,
                    kind,
                    needed: config.folds,
                });
            }
        }
        Ok(Self {
            fold: stratified(&positive, config.folds),
            rows,
            positive,
        })
    }

    /// The SVM on the images at the positions that `kept` accepts.
    fn problem<'a>(
        &self,
        features: &'a Rows,
        config: &SvmConfig,
        kept: impl Fn(usize) -> bool,
    ) -> Problem<'a> {
        let kept: Vec<usize> = (0..self.rows.len()).filter(|&at| kept(at)).collect();
        let by_label = |positive, negative| {
            let value = |&at: &usize| {
                if self.positive[at] {
                    positive
                } else {
                    negative
                }
            };
            kept.iter().map(value).collect()
        };
        Problem {
            features,
            rows: kept.iter().map(|&at| self.rows[at]).collect(),
            signs: by_label(1.0, -1.0),
            weights: by_label(config.positive_weight, 1.0),
        }
    }

    /// Average precision on a fold for each cost, in ascending order. Each fit starts at the
    /// previous solution.
    fn validate(
        &self,
        class: usize,
        fold: usize,
        features: &Rows,
        config: &SvmConfig,
    ) -> Result<Vec<f64>> {
        let problem = self.problem(features, config, |at| self.fold[at] != fold);
        let held: Vec<usize> = (0..self.rows.len())
            .filter(|&at| self.fold[at] == fold)
            .collect();
        let rows: Vec<usize> = held.iter().map(|&at| self.rows[at]).collect();
        let positive: Vec<bool> = held.iter().map(|&at| self.positive[at]).collect();
        let mut solution = problem.zero();
        let mut precisions = Vec::with_capacity(config.costs.len());
        for &cost in &config.costs {
            solved(&problem, class, cost, &mut solution)?;
            let scores = features.scores(&rows, &solution.weight);
            let precision = average_precision(&scores, &positive);
            precisions.push(precision.expect("each fold has a positive image"));
        }
        Ok(precisions)
    }

    fn fit(
        &self,
        class: usize,
        cost: f64,
        features: &Rows,
        config: &SvmConfig,
    ) -> Result<Vec<f64>> {
        let problem = self.problem(features, config, |_| true);
        let mut solution = problem.zero();
        solved(&problem, class, cost, &mut solution)?;
        Ok(solution.weight)
    }
}

fn solved(problem: &Problem<'_>, class: usize, cost: f64, solution: &mut Solution) -> Result<()> {
    if problem.solve(cost, TOLERANCE, solution) {
        return Ok(());
    }
    Err(EvalError::NotConverged { class, cost })
}
