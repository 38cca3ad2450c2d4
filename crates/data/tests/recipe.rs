//! Draws of the recipes. Each transform has its method's frequency and order, and its parameters
//! cover their range.

use e2mc_data::augment::{CropBox, Resize};
use e2mc_data::{Operation, Recipe, SampledView};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

const DRAWS: usize = 10_000;

/// Five standard errors of a frequency over [`DRAWS`] draws, at most.
const TOLERANCE: f64 = 0.025;

/// The views drawn for images of 375 x 500 pixels: for each view of the recipe, all its draws.
fn draw(recipe: &Recipe) -> Vec<Vec<SampledView>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut views = vec![Vec::new(); recipe.view_sizes().len()];
    for _ in 0..DRAWS {
        for (views, view) in views.iter_mut().zip(recipe.sample(375, 500, rng)) {
            views.push(view);
        }
    }
    views
}

fn kind(operation: &Operation) -> &'static str {
    match operation {
        Operation::HorizontalFlip => "flip",
        Operation::ColorJitter(_) => "jitter",
        Operation::Grayscale => "gray",
        Operation::GaussianBlur(_) => "blur",
        Operation::Solarize(_) => "solarize",
    }
}

/// Checks that the transforms happen in this order, each as often as given, and independently of
/// the one before.
fn check(views: &[SampledView], expected: &[(&str, f64)]) {
    let mut before: Option<(&str, f64)> = None;
    for &(name, probability) in expected {
        let has = |view: &SampledView, name: &str| view.operations.iter().any(|o| kind(o) == name);
        let share = |count: usize| count as f64 / views.len() as f64;
        let found = share(views.iter().filter(|view| has(view, name)).count());
        assert!((found - probability).abs() < TOLERANCE, "{name}: {found}");
        if probability == 0.0 || probability == 1.0 {
            assert_eq!(found, probability, "{name}");
        }
        if let Some((other, other_probability)) = before {
            let both = views
                .iter()
                .filter(|view| has(view, name) && has(view, other));
            let expected = probability * other_probability;
            assert!(
                (share(both.count()) - expected).abs() < TOLERANCE,
                "{other} and {name}"
            );
        }
        before = Some((name, probability));
    }
    let position = |name| expected.iter().position(|(other, _)| *other == name);
    for view in views {
        assert!(view.operations.iter().map(kind).is_sorted_by_key(position));
    }
}

/// The mean and the range of `value` over the views that have one.
fn statistics(views: &[SampledView], value: impl Fn(&SampledView) -> Option<f64>) -> [f64; 3] {
    let values: Vec<f64> = views.iter().filter_map(value).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [mean, least, most]
}

fn sigma(view: &SampledView) -> Option<f64> {
    view.operations
        .iter()
        .find_map(|operation| match operation {
            Operation::GaussianBlur(sigma) => Some(f64::from(*sigma)),
            _ => None,
        })
}

fn area(view: &SampledView) -> Option<f64> {
    let CropBox { height, width, .. } = view.resize.region;
    Some((height * width) as f64 / (375.0 * 500.0))
}

#[test]
fn vicreg_draws_from_two_pipelines() {
    let views = draw(&Recipe::vicreg());
    for (views, blur, solarize) in [(&views[0], 1.0, 0.0), (&views[1], 0.1, 0.2)] {
        let expected = [
            ("flip", 0.5),
            ("jitter", 0.8),
            ("gray", 0.2),
            ("blur", blur),
            ("solarize", solarize),
        ];
        check(views, &expected);
        let [mean, least, most] = statistics(views, area);
        // torchvision's mean over 40,000 calls of RandomResizedCrop.get_params is 0.4342 (the
        // largest crops often do not fit and are drawn again). The margin of 0.012 is five standard
        // errors of the two means.
        assert!((0.4222..0.4462).contains(&mean), "{mean}");
        // Rounding to whole pixels moves a corner a little.
        assert!(least > 0.078 && most <= 1.0, "{least} {most}");
    }
    let [mean, least, most] = statistics(&views[0], sigma);
    // Five standard errors: 1.9 / sqrt(12 * 10,000) = 0.0055.
    assert!(
        (mean - 1.05).abs() < 0.028 && least >= 0.1 && most < 2.0,
        "{mean} {least} {most}"
    );
}

#[test]
fn swav_draws_large_and_small_crops() {
    let views = draw(&Recipe::swav());
    for (number, views) in views.iter().enumerate() {
        check(
            views,
            &[("flip", 0.5), ("jitter", 0.8), ("gray", 0.2), ("blur", 0.5)],
        );
        let (size, low, high) = if number < 2 {
            (224, 0.14, 1.0)
        } else {
            (96, 0.05, 0.14)
        };
        assert!(views.iter().all(|view| view.resize.target == [size, size]));
        let [_, least, most] = statistics(views, area);
        assert!(least > 0.97 * low && most < 1.03 * high, "{least} {most}");
    }
}

#[test]
fn simsiam_mirrors_last() {
    for views in draw(&Recipe::simsiam()) {
        check(
            &views,
            &[("jitter", 0.8), ("gray", 0.2), ("blur", 0.5), ("flip", 0.5)],
        );
    }
}

#[test]
fn probes_draw_a_crop_in_training_and_nothing_in_evaluation() {
    check(&draw(&Recipe::linear_probe_train())[0], &[("flip", 0.5)]);
    let views = draw(&Recipe::eval());
    let [first, rest @ ..] = &views[0][..] else {
        panic!("no views");
    };
    assert!(rest.iter().all(|view| view == first));
    assert!(first.operations.is_empty());
    let Resize { target, window, .. } = first.resize;
    // 500 * 256 / 375 = 341.3; (341 - 224) / 2 = 58.5, to the even number.
    assert_eq!(target, [256, 341]);
    let expected = CropBox {
        top: 16,
        left: 58,
        height: 224,
        width: 224,
    };
    assert_eq!(window, expected);
}
