//! Paired statistics against SciPy and statsmodels. Reference values: `tests/reference/eval.py`;
//! over draws and resampled images, `tests/reference/embeddings_and_draws.py`. The libraries' own
//! functions on the correctness of each image: `tests/reference/eval_paired.py`.

use e2mc_eval::EvalError;
use e2mc_eval::statistics::{
    PairedComparison, Summary, bootstrap_mean_difference, mcnemar, paired_t, smallest_significant,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct GoldenDraws {
    paired_t: Vec<Draws>,
    bootstrap: Vec<Resampled>,
}

#[derive(Deserialize)]
struct Draws {
    differences: Vec<f64>,
    mean: f64,
    std: f64,
    t: f64,
    p_value: f64,
    interval_95: [f64; 2],
    half_width_99: f64,
}

#[derive(Deserialize)]
struct Resampled {
    n: usize,
    n01: usize,
    n10: usize,
    std: f64,
    interval: [f64; 2],
}

fn golden_draws() -> GoldenDraws {
    let json = include_str!("../../../tests/reference/eval/draws.json");
    serde_json::from_str(json).expect("the reference file is JSON")
}

#[derive(Deserialize)]
struct Golden {
    paired: Vec<Paired>,
    summaries: Vec<Trials>,
}

#[derive(Deserialize)]
struct Paired {
    n: usize,
    n01: usize,
    n10: usize,
    chi_squared: f64,
    mcnemar_p: f64,
    exact_permutation_p: f64,
    mean_difference: f64,
    cohens_d: f64,
}

#[derive(Deserialize)]
struct Trials {
    trials: Vec<f64>,
    mean: f64,
    std: Option<f64>,
}

fn golden() -> Golden {
    let json = include_str!("../../../tests/reference/eval/statistics.json");
    serde_json::from_str(json).expect("the reference file is JSON")
}

/// Both sides compute in f64 from the same counts; SciPy's tail functions differ in the last
/// digits.
fn close(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-10 * want.abs()
}

/// Correctness of two models with the given disagreements, the rest right with both.
fn models(n: usize, n01: usize, n10: usize) -> (Vec<bool>, Vec<bool>) {
    let first = (0..n).map(|i| i >= n01).collect();
    let second = (0..n).map(|i| i < n01 || i >= n01 + n10).collect();
    (first, second)
}

#[test]
fn paired_statistics_equal_scipy() {
    const PERMUTATIONS: u32 = 20_000;
    for case in golden().paired {
        let (first, second) = models(case.n, case.n01, case.n10);
        let got = PairedComparison::new(&first, &second, PERMUTATIONS, 1).unwrap();
        let label = format!("n01 = {}, n10 = {}", case.n01, case.n10);

        assert_eq!((got.mcnemar.n01, got.mcnemar.n10), (case.n01, case.n10));
        assert!(close(got.mcnemar.chi_squared, case.chi_squared), "{label}");
        assert!(close(got.mcnemar.p_value, case.mcnemar_p), "{label}");
        let difference = got.permutation.mean_difference;
        assert!(close(difference, case.mean_difference), "{label}");
        assert!(close(got.cohens_d.unwrap(), case.cohens_d), "{label}");

        // Random permutations estimate the exact p-value with a binomial error.
        let p = case.exact_permutation_p.min(1.0);
        let error = (p * (1.0 - p) / f64::from(PERMUTATIONS)).sqrt();
        let allowed = 4.0 * error + 1.0 / f64::from(PERMUTATIONS);
        let estimate = got.permutation.p_value;
        assert!((estimate - p).abs() <= allowed, "{label}: {estimate}, {p}");
    }
}

#[derive(Deserialize)]
struct GoldenPairs {
    resamples: u32,
    cases: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    /// A 0 or 1 for each image.
    first: String,
    second: String,
    chi_squared: f64,
    mcnemar_p: f64,
    mean_difference: f64,
    permutation_p: f64,
    interval: [f64; 2],
}

#[test]
fn paired_tests_equal_the_functions_of_statsmodels_and_scipy() {
    let json = include_str!("../../../tests/reference/eval/paired.json");
    let golden: GoldenPairs = serde_json::from_str(json).unwrap();
    assert_eq!(golden.cases.len(), 4);
    let resamples = f64::from(golden.resamples);
    for case in golden.cases {
        let [first, second] = [&case.first, &case.second]
            .map(|hits| hits.chars().map(|hit| hit == '1').collect::<Vec<_>>());
        let got = PairedComparison::new(&first, &second, golden.resamples, 1).unwrap();
        assert!(close(got.mcnemar.chi_squared, case.chi_squared), "{got:?}");
        assert!(close(got.mcnemar.p_value, case.mcnemar_p), "{got:?}");
        let difference = got.permutation.mean_difference;
        assert!((difference - case.mean_difference).abs() < 1e-12, "{got:?}");
        // Both sides draw permutations: each has a binomial error.
        let p = case.permutation_p;
        let allowed = 4.0 * (2.0 * p * (1.0 - p) / resamples).sqrt() + 1.0 / resamples;
        let estimate = got.permutation.p_value;
        assert!((estimate - p).abs() <= allowed, "{estimate} {p}");
        let interval = bootstrap_mean_difference(&first, &second, golden.resamples, 1).unwrap();
        // As above: 0.02 standard errors at an end of 20,000 resamples, on both sides.
        let n = first.len() as f64;
        let disagreements = (got.mcnemar.n01 + got.mcnemar.n10) as f64 / n;
        let error = ((disagreements - difference * difference) / n).sqrt();
        let allowed = 4.0 * 0.02 * 2f64.sqrt() * error + 1.0 / n;
        for (got, want) in interval.into_iter().zip(case.interval) {
            assert!((got - want).abs() <= allowed, "{got} {want} {allowed}");
        }
    }
}

#[test]
fn summaries_equal_numpy() {
    for case in golden().summaries {
        let got = Summary::of(&case.trials).unwrap();
        assert!(close(got.mean, case.mean));
        assert_eq!(got.std.is_some(), case.std.is_some());
        // Equal trials: the last bit of the mean decides whether the spread is 0 or 1e-17.
        let (got, want) = (got.std.unwrap_or(0.0), case.std.unwrap_or(0.0));
        assert!(close(got, want) || (got - want).abs() < 1e-15);
    }
}

#[test]
fn paired_t_equals_scipy() {
    for case in golden_draws().paired_t {
        let differences = &case.differences;
        let got = paired_t(differences).unwrap();
        assert!(close(got.mean, case.mean), "{got:?}");
        assert!(close(got.std, case.std), "{got:?}");
        assert!(close(got.t.unwrap(), case.t), "{got:?}");
        assert!(close(got.p_value, case.p_value), "{got:?} {}", case.p_value);
        let [low, high] = case.interval_95;
        assert!(close(got.interval_95[0], low), "{got:?} {low}");
        assert!(close(got.interval_95[1], high), "{got:?} {high}");
        let half = smallest_significant(differences, 0.05).unwrap();
        assert!(close(half, 0.5 * (high - low)), "{half}");
        let wide = smallest_significant(differences, 0.01).unwrap();
        assert!(close(wide, case.half_width_99), "{wide}");
    }
}

#[test]
fn bootstrap_intervals_equal_scipy_within_sampling_error() {
    for case in golden_draws().bootstrap {
        let (first, second) = models(case.n, case.n01, case.n10);
        let got = bootstrap_mean_difference(&first, &second, 20_000, 1).unwrap();
        // An end of 20,000 resamples has an error of about 0.02 standard errors; both sides have
        // one, and differences lie on a grid of 1 / n.
        let error = case.std / (case.n as f64).sqrt();
        let allowed = 4.0 * 0.02 * 2f64.sqrt() * error + 1.0 / case.n as f64;
        for (got, want) in got.into_iter().zip(case.interval) {
            assert!((got - want).abs() <= allowed, "{got} {want} {allowed}");
        }
        let again = bootstrap_mean_difference(&first, &second, 20_000, 1).unwrap();
        assert_eq!(got, again);
    }
}

#[test]
fn exchanging_the_models_changes_only_signs() {
    let (first, second) = models(1000, 60, 35);
    let forth = PairedComparison::new(&first, &second, 500, 9).unwrap();
    let back = PairedComparison::new(&second, &first, 500, 9).unwrap();
    assert_eq!(forth.mcnemar.p_value, back.mcnemar.p_value);
    assert_eq!(forth.permutation.p_value, back.permutation.p_value);
    assert_eq!(forth.cohens_d.unwrap(), -back.cohens_d.unwrap());
}

#[test]
fn bad_input_is_an_error() {
    let unpaired = EvalError::Unpaired {
        first: 2,
        second: 1,
    };
    assert_eq!(mcnemar(&[true, false], &[true]), Err(unpaired));
    assert!(mcnemar(&[], &[]).is_err());
    let error = PairedComparison::new(&[true], &[true], 0, 0).unwrap_err();
    assert!(error.to_string().starts_with("permutations is 0"));
}
