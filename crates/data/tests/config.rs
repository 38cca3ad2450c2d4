//! The configuration is readable JSON, and values out of range are rejected by name.

use e2mc_data::augment::{
    BlurConfig, CenterCrop, ColorJitterConfig, Interpolation, RandomResizedCrop,
};
use e2mc_data::{Crop, DataError, ImageSet, Recipe, Transform, class_balanced_subset};
use proptest::prelude::*;

#[test]
fn presets_are_valid_and_round_trip_through_json() {
    let presets: [(Recipe, &[usize]); 10] = [
        (Recipe::vicreg(), &[224, 224]),
        (Recipe::swav(), &[224, 224, 96, 96, 96, 96, 96, 96]),
        (Recipe::simsiam(), &[224, 224]),
        (Recipe::linear_probe_train(), &[224]),
        (Recipe::eval(), &[224]),
        (Recipe::vicreg_small(), &[28, 28]),
        (Recipe::swav_small(), &[28, 28, 14, 14, 14, 14]),
        (Recipe::simsiam_small(), &[28, 28]),
        (Recipe::linear_probe_train_small(), &[28]),
        (Recipe::eval_small(), &[28]),
    ];
    for (recipe, sizes) in presets {
        recipe.validate().unwrap();
        assert_eq!(recipe.view_sizes(), sizes);
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
        let misspelt = json.replace("transforms", "transfroms");
        assert!(serde_json::from_str::<Recipe>(&misspelt).is_err());
    }
}

#[test]
fn a_recipe_is_written_down_in_json() {
    let json = r#"{
        "views": [{
            "count": 2,
            "crop": {"random_resized": {
                "size": 64, "scale": [0.2, 1.0], "ratio": [0.75, 1.25], "interpolation": "bicubic"
            }},
            "transforms": [
                {"horizontal_flip": {"probability": 0.5}},
                {"solarize": {"probability": 0.1, "threshold": 100}}
            ]
        }],
        "pass_order": "horizontal_first",
        "normalization": {"mean": [0.5], "std": [0.25]}
    }"#;
    let recipe: Recipe = serde_json::from_str(json).unwrap();
    recipe.validate().unwrap();
    assert_eq!(recipe.view_sizes(), [64, 64]);
}

#[test]
fn every_option_is_checked() {
    type Change = fn(&mut Recipe);
    let changes: [(&str, Change); 22] = [
        ("views", |r| r.views.clear()),
        ("views", |r| {
            r.views.iter_mut().for_each(|view| view.count = 0)
        }),
        ("crop.size", |r| crop(r).size = 0),
        ("crop.scale", |r| crop(r).scale = (0.0, 0.5)),
        ("crop.scale", |r| crop(r).scale = (0.5, 0.4)),
        ("crop.scale", |r| crop(r).scale = (0.5, 1.5)),
        ("crop.scale", |r| crop(r).scale = (f32::NAN, 1.0)),
        ("crop.ratio", |r| crop(r).ratio = (-1.0, 1.0)),
        ("crop.ratio", |r| crop(r).ratio = (1.0, f32::INFINITY)),
        ("crop.size", |r| r.views[0].crop = center(28, 0)),
        ("crop.resize", |r| r.views[0].crop = center(27, 28)),
        ("horizontal_flip.probability", |r| {
            r.views[0].transforms[0] = Transform::HorizontalFlip { probability: 1.5 }
        }),
        ("color_jitter.probability", |r| {
            jitter(r).probability = f32::NAN
        }),
        ("color_jitter.contrast", |r| jitter(r).contrast = -0.1),
        ("color_jitter.hue", |r| jitter(r).hue = 0.6),
        ("grayscale.probability", |r| {
            r.views[0].transforms[2] = Transform::Grayscale { probability: -0.1 }
        }),
        ("solarize.probability", |r| {
            r.views[0].transforms[2] = Transform::Solarize {
                probability: f32::NAN,
                threshold: 128,
            }
        }),
        ("blur.probability", |r| blur(r).probability = 2.0),
        ("blur.sigma", |r| blur(r).sigma = (2.0, 1.0)),
        ("blur.sigma", |r| blur(r).sigma = (0.0, f32::INFINITY)),
        ("normalization.std", |r| r.normalization.std[0] = 0.0),
        ("normalization", |r| r.normalization.mean.push(0.0)),
    ];
    for (name, change) in changes {
        let mut recipe = Recipe::swav_small();
        change(&mut recipe);
        match recipe.validate() {
            Err(DataError::InvalidOption { option, .. }) => assert_eq!(option, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn crop(recipe: &mut Recipe) -> &mut RandomResizedCrop {
    match &mut recipe.views[0].crop {
        Crop::RandomResized(crop) => crop,
        other => panic!("{other:?}"),
    }
}

fn center(resize: usize, size: usize) -> Crop {
    Crop::Center(CenterCrop {
        resize,
        size,
        interpolation: Interpolation::Bilinear,
    })
}

fn jitter(recipe: &mut Recipe) -> &mut ColorJitterConfig {
    match &mut recipe.views[0].transforms[1] {
        Transform::ColorJitter(config) => config,
        other => panic!("{other:?}"),
    }
}

fn blur(recipe: &mut Recipe) -> &mut BlurConfig {
    match &mut recipe.views[0].transforms[3] {
        Transform::GaussianBlur(config) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn image_sets_are_consistent() {
    let new = |pixels: usize, shape, labels: Vec<u32>| {
        ImageSet::new(
            "set",
            vec![0; pixels],
            shape,
            labels,
            vec!["a".into(), "b".into()],
        )
    };
    assert_eq!(new(8, [1, 2, 2], vec![0, 1]).unwrap().len(), 2);
    assert!(new(0, [1, 2, 2], vec![]).unwrap().is_empty());
    for bad in [
        new(7, [1, 2, 2], vec![0, 1]),
        new(8, [1, 2, 2], vec![0, 2]),
        new(0, [1, 0, 2], vec![0]),
        new(8, [2, 2, 2], vec![0]),
        new(8, [1, usize::MAX, 3], vec![0]),
    ] {
        assert!(matches!(bad, Err(DataError::ImageSet { .. })), "{bad:?}");
    }
}

#[test]
fn subset_keeps_images_with_their_labels() {
    let pixels = (0..12).collect();
    let classes = vec!["a".into(), "b".into(), "c".into()];
    let set = ImageSet::new("set", pixels, [1, 2, 2], vec![2, 0, 1], classes).unwrap();
    let subset = set.subset(&[2, 0]);
    assert_eq!(subset.labels(), [1, 2]);
    assert_eq!(subset.image(0), [8, 9, 10, 11]);
    assert_eq!(subset.image(1), [0, 1, 2, 3]);
}

#[test]
fn one_percent_of_ten_thousand_is_ten_of_each_class() {
    let labels: Vec<u32> = (0..10_000).map(|i| i * 7 % 10).collect();
    let subset = class_balanced_subset(&labels, 0.01, 0).unwrap();
    for class in 0..10 {
        assert_eq!(subset.iter().filter(|i| labels[**i] == class).count(), 10);
    }
    assert_ne!(subset, class_balanced_subset(&labels, 0.01, 1).unwrap());
    let everything: Vec<usize> = (0..10_000).collect();
    assert_eq!(class_balanced_subset(&labels, 1.0, 3).unwrap(), everything);
}

#[test]
fn impossible_subsets_are_errors() {
    for fraction in [0.0, -0.1, 1.1, f64::NAN] {
        let error = class_balanced_subset(&[0, 1], fraction, 0).unwrap_err();
        assert!(error.to_string().contains("label fraction"), "{error}");
    }
    assert!(matches!(
        class_balanced_subset(&[], 0.5, 0),
        Err(DataError::Empty { .. })
    ));
}

proptest! {
    #[test]
    fn subsets_are_sorted_balanced_and_nested(
        labels in prop::collection::vec(0_u32..7, 1..300),
        fraction in 0.001..=1.0_f64,
        part in 0.01..=1.0_f64,
        seed: u64,
    ) {
        let subset = class_balanced_subset(&labels, fraction, seed).unwrap();
        prop_assert!(subset.is_sorted_by(|a, b| a < b));
        for class in 0..7 {
            let count = |indices: &mut dyn Iterator<Item = usize>| {
                indices.filter(|i| labels[*i] == class).count()
            };
            let all = count(&mut (0..labels.len()));
            let chosen = count(&mut subset.iter().copied());
            let expected = ((all as f64 * fraction).round() as usize).max(1).min(all);
            prop_assert_eq!(chosen, expected);
        }
        let smaller = class_balanced_subset(&labels, fraction * part, seed).unwrap();
        prop_assert!(smaller.iter().all(|index| subset.binary_search(index).is_ok()));
    }
}
