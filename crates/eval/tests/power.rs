//! Power of the paired tests against SciPy. Reference values: `tests/reference/power.py`.

use e2mc_eval::statistics::{detectable_by_mcnemar, detectable_difference};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    paired_t: Vec<Draws>,
    mcnemar: Vec<Images>,
}

#[derive(Deserialize)]
struct Draws {
    differences: Vec<f64>,
    alpha: f64,
    power: f64,
    detectable: f64,
}

#[derive(Deserialize)]
struct Images {
    images: usize,
    disagreements: usize,
    alpha: f64,
    power: f64,
    detectable: f64,
}

fn golden() -> Golden {
    let json = include_str!("../../../tests/reference/eval/power.json");
    serde_json::from_str(json).expect("the reference file is JSON")
}

#[test]
fn detectable_differences_equal_scipy() {
    for case in golden().paired_t {
        let got = detectable_difference(&case.differences, case.alpha, case.power).unwrap();
        // SciPy's noncentral t is accurate to about 1e-10 here.
        let label = format!(
            "{} draws: {got} {}",
            case.differences.len(),
            case.detectable
        );
        assert!((got / case.detectable - 1.0).abs() < 1e-6, "{label}");
    }
}

#[test]
fn detectable_differences_over_images_equal_scipy() {
    for case in golden().mcnemar {
        let (images, disagreements) = (case.images, case.disagreements);
        let got = detectable_by_mcnemar(images, disagreements, case.alpha, case.power).unwrap();
        // The same closed form in f64; the normal quantiles differ in their last digits.
        assert!(
            (got / case.detectable - 1.0).abs() < 1e-9,
            "{got} {}",
            case.detectable
        );
    }
}
