//! The configuration is readable JSON, and values outside their ranges are refused by name.

use e2mc_data::{DataError, ImageSet, MultiCropConfig, class_balanced_subset};
use proptest::prelude::*;

#[test]
fn round_trip_through_json() {
    let config = MultiCropConfig::swav_small();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<MultiCropConfig>(&json).unwrap(),
        config
    );
    let misspelt = json.replace("flip_probability", "flip_probabilty");
    assert!(serde_json::from_str::<MultiCropConfig>(&misspelt).is_err());
    config.validate().unwrap();
    assert_eq!(config.view_sizes(), [28, 28, 14, 14, 14, 14]);
}

#[test]
fn every_option_is_checked() {
    type Change = fn(&mut MultiCropConfig);
    let changes: [(&str, Change); 18] = [
        ("crops", |c| c.crops.clear()),
        ("crops", |c| {
            c.crops.iter_mut().for_each(|crop| crop.count = 0)
        }),
        ("crops.size", |c| c.crops[1].size = 0),
        ("crops.scale", |c| c.crops[0].scale = (0.0, 0.5)),
        ("crops.scale", |c| c.crops[0].scale = (0.5, 0.4)),
        ("crops.scale", |c| c.crops[1].scale = (0.5, 1.5)),
        ("crops.scale", |c| c.crops[1].scale = (f32::NAN, 1.0)),
        ("ratio", |c| c.ratio = (-1.0, 1.0)),
        ("ratio", |c| c.ratio = (1.0, f32::INFINITY)),
        ("flip_probability", |c| c.flip_probability = 1.5),
        ("color_jitter.probability", |c| {
            c.color_jitter.probability = f32::NAN
        }),
        ("color_jitter.contrast", |c| c.color_jitter.contrast = -0.1),
        ("color_jitter.hue", |c| c.color_jitter.hue = 0.6),
        ("grayscale_probability", |c| c.grayscale_probability = -0.1),
        ("blur.probability", |c| c.blur.probability = 2.0),
        ("blur.sigma", |c| c.blur.sigma = (2.0, 1.0)),
        ("normalization.std", |c| c.normalization.std[0] = 0.0),
        ("normalization", |c| c.normalization.mean.push(0.0)),
    ];
    for (name, change) in changes {
        let mut config = MultiCropConfig::swav_small();
        change(&mut config);
        match config.validate() {
            Err(DataError::Option { option, .. }) => assert_eq!(option, name),
            other => panic!("{name}: {other:?}"),
        }
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
