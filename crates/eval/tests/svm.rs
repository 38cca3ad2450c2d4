//! Linear SVMs against scikit-learn's LinearSVC. Reference values: `tests/reference/eval_svm.py`.

use e2mc_eval::svm::{ObjectLabels, Presence, SvmConfig, average_precision, svm};
use e2mc_eval::{EvalError, Features};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    costs: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    dims: usize,
    train: Set,
    test: Set,
    classes: Vec<Class>,
}

#[derive(Deserialize)]
struct Set {
    values: Vec<f32>,
    labels: Vec<i8>,
}

#[derive(Deserialize)]
struct Class {
    validation: Vec<f64>,
    cost: f64,
    scores: Vec<Vec<f64>>,
    step_average_precision: f64,
    average_precision: f64,
    eleven_point: f64,
}

/// Fits end within 1.5e-4 of the minimum, and features are rounded to f32.
const TOLERANCE: f64 = 3e-4;

fn golden() -> Golden {
    let json = include_str!("../../../tests/reference/eval/svm.json");
    serde_json::from_str(json).expect("the reference file is JSON")
}

fn labels(set: &Set, classes: usize) -> ObjectLabels {
    let presence = set.labels.iter().map(|label| match label {
        0 => Presence::Absent,
        1 => Presence::Present,
        _ => Presence::Difficult,
    });
    ObjectLabels::new(presence.collect(), classes).unwrap()
}

/// Features, whose own labels do not matter.
fn features(values: Vec<f32>, dims: usize) -> Features {
    let images = values.len() / dims;
    Features::new(values, dims, vec![0; images], 1).unwrap()
}

fn assert_close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= TOLERANCE,
            "{what}[{i}]: {got} instead of {want}"
        );
    }
}

#[test]
fn choice_of_cost_and_average_precision_equal_scikit_learn() {
    let golden = golden();
    for case in golden.cases {
        let name = &case.name;
        let classes = case.classes.len();
        let (train_labels, test_labels) =
            (labels(&case.train, classes), labels(&case.test, classes));
        let train = features(case.train.values, case.dims);
        let test = features(case.test.values, case.dims);
        let config = SvmConfig::new().with_costs(golden.costs.clone());
        let got = svm(&train, &train_labels, &test, &test_labels, &config).unwrap();

        let mut means = [0.0; 2];
        for (class, (got, want)) in got.classes.iter().zip(&case.classes).enumerate() {
            assert_close(name, &got.validation, &want.validation);
            assert_eq!(got.cost, want.cost, "{name}, class {class}");
            let at = golden.costs.iter().position(|&cost| cost == want.cost);
            assert_close(name, &got.scores, &want.scores[at.unwrap()]);
            let precisions = [got.average_precision.unwrap(), got.eleven_point.unwrap()];
            let wanted = [want.average_precision, want.eleven_point];
            assert_close(name, &precisions, &wanted);
            for (mean, precision) in means.iter_mut().zip(wanted) {
                *mean += precision / classes as f64;
            }
            let counted: Vec<_> = test_labels.of_class(class).zip(&got.scores).collect();
            let counted = counted.iter().filter(|(p, _)| *p != Presence::Difficult);
            let (positive, scores): (Vec<bool>, Vec<f64>) =
                counted.map(|(p, s)| (*p == Presence::Present, **s)).unzip();
            let step = average_precision(&scores, &positive).unwrap();
            assert_close(name, &[step], &[want.step_average_precision]);
        }
        let got = [got.mean_average_precision, got.mean_eleven_point];
        assert_close(name, &got, &means);
    }
}

#[test]
fn decision_values_equal_liblinear_at_every_cost() {
    let golden = golden();
    for case in golden.cases {
        let classes = case.classes.len();
        let (train_labels, test_labels) =
            (labels(&case.train, classes), labels(&case.test, classes));
        let train = features(case.train.values, case.dims);
        let test = features(case.test.values, case.dims);
        for (at, &cost) in golden.costs.iter().enumerate() {
            let config = SvmConfig::new().with_costs(vec![cost]);
            let got = svm(&train, &train_labels, &test, &test_labels, &config).unwrap();
            for (got, want) in got.classes.iter().zip(&case.classes) {
                assert_close(
                    &format!("{} at {cost}", case.name),
                    &got.scores,
                    &want.scores[at],
                );
            }
        }
    }
}

/// Twelve images of one feature; the first six show class 0, the others class 1.
fn line() -> (Features, Vec<Presence>) {
    let values = (0..12).map(|i| i as f32 - 5.5).collect();
    let shown = |i: usize, class: usize| {
        if (i < 6) == (class == 0) {
            Presence::Present
        } else {
            Presence::Absent
        }
    };
    let presence = (0..24).map(|i| shown(i / 2, i % 2)).collect();
    (features(values, 1), presence)
}

fn run(presence: Vec<Presence>, config: SvmConfig) -> Result<e2mc_eval::svm::SvmResult, EvalError> {
    let (train, all) = line();
    let train_labels = ObjectLabels::new(presence, 2).unwrap();
    let test_labels = ObjectLabels::new(all, 2).unwrap();
    svm(&train, &train_labels, &train, &test_labels, &config)
}

#[test]
fn separable_classes_are_separated() {
    let (_, presence) = line();
    let config = SvmConfig::new().with_normalize(false);
    let result = run(presence, config).unwrap();
    assert_eq!(result.mean_average_precision, 1.0);
    assert_eq!(result.mean_eleven_point, 1.0);
    // The smallest of the costs that are equally good.
    assert!(result.classes.iter().all(|class| class.cost == 1e-6));
}

#[test]
fn features_of_extreme_size_do_not_converge_unless_normalized() {
    let (_, presence) = line();
    let labels = ObjectLabels::new(presence, 2).unwrap();
    let values = (0..24).map(|i| 1e18 * ((i * 5 % 7) as f32 - 2.9));
    let huge = features(values.collect(), 2);
    let run = |normalize| {
        let config = SvmConfig::new().with_normalize(normalize);
        svm(&huge, &labels, &huge, &labels, &config)
    };
    let error = run(false).unwrap_err();
    assert!(
        matches!(error, EvalError::NotConverged { class: 0, .. }),
        "{error}"
    );
    assert!(run(true).is_ok());
}

#[test]
fn difficult_images_are_negatives_or_left_out_of_training() {
    let (_, mut presence) = line();
    presence[2 * 5] = Presence::Difficult;
    let config = SvmConfig::new().with_costs(vec![1.0]).with_normalize(false);
    let negative = run(presence.clone(), config.clone()).unwrap();
    presence[2 * 5] = Presence::Absent;
    let absent = run(presence.clone(), config.clone()).unwrap();
    assert_eq!(negative.classes, absent.classes);
    presence[2 * 5] = Presence::Difficult;
    let left_out = run(presence, config.with_difficult_as_negative(false)).unwrap();
    assert!(left_out.classes[0].scores[5] > negative.classes[0].scores[5]);
}

#[test]
fn classes_too_small_for_the_folds_are_named() {
    let (_, mut presence) = line();
    for image in 2..6 {
        presence[2 * image] = Presence::Absent;
    }
    let error = run(presence, SvmConfig::new()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("2 training images show class 0, but at least 3"),
        "{message}"
    );
    let everywhere = vec![Presence::Present; 24];
    let error = run(everywhere, SvmConfig::new()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("0 training images do not show class 0"),
        "{message}"
    );
}

#[test]
fn a_class_without_test_images_is_left_out_of_the_mean() {
    let (train, presence) = line();
    let train_labels = ObjectLabels::new(presence.clone(), 2).unwrap();
    let config = SvmConfig::new().with_costs(vec![1.0]);
    let fit = |shown: [Presence; 2]| {
        let test = features(vec![-1.0, 1.0], 1);
        let absent = Presence::Absent;
        let labels = ObjectLabels::new(vec![shown[0], shown[1], absent, absent], 2).unwrap();
        svm(&train, &train_labels, &test, &labels, &config)
    };
    let result = fit([Presence::Present, Presence::Absent]).unwrap();
    assert_eq!(result.classes[1].average_precision, None);
    assert_eq!(result.mean_average_precision, 1.0);
    let error = fit([Presence::Difficult, Presence::Absent]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("test images that show a class"),
        "{error}"
    );
}

#[test]
fn sets_that_do_not_belong_together_are_rejected() {
    let (train, presence) = line();
    let two = ObjectLabels::new(presence.clone(), 2).unwrap();
    let three = ObjectLabels::new(presence.clone(), 3).unwrap();
    let fewer = ObjectLabels::new(presence[..20].to_vec(), 2).unwrap();
    let config = SvmConfig::new();
    let wide = features(vec![0.0; 24], 2);
    let error = |test: &Features, labels: &ObjectLabels| {
        svm(&train, &two, test, labels, &config).unwrap_err()
    };
    assert_eq!(
        error(&wide, &two),
        EvalError::DimensionMismatch { train: 1, test: 2 }
    );
    assert_eq!(
        error(&train, &three),
        EvalError::ClassMismatch { train: 2, test: 3 }
    );
    assert_eq!(
        error(&train, &fewer),
        EvalError::LabelCount {
            images: 12,
            labels: 10
        }
    );
}
