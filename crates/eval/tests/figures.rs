//! Figures are well-formed whatever the values.

use burn::tensor::{Device, Tensor};
use e2mc_eval::figures::{
    AccuracyGroup, MarginalsConfig, Series, accuracy_chart, line_chart, marginals,
};
use e2mc_eval::statistics::Summary;

/// One `<svg>` with a view box, all tags closed, and no coordinate that is not a number.
fn assert_svg(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("viewBox=\"0 0 "));
    let lower = svg.to_lowercase();
    assert!(
        !lower.contains("=\"nan") && !lower.contains("=\"inf"),
        "{svg}"
    );
    let opened = svg.matches('<').count();
    let closing = svg.matches("</").count();
    let empty = svg.matches("/>").count();
    assert_eq!(opened, 2 * closing + empty);
    assert_eq!(opened, svg.matches('>').count());
}

#[test]
fn line_charts_take_any_value() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        0.0,
        1e300,
        -1e-300,
        1.0,
        1.0 + f64::EPSILON,
    ];
    for x in odd {
        for y in odd {
            for z in odd {
                let series = Series::new("a", [(0.0, y), (x, z), (1.0, 0.5)]);
                assert_svg(&line_chart("t", "x", "y", &[series.with_smoothing(3)]));
            }
        }
    }
}

#[test]
fn nothing_to_show_is_said() {
    let nan = Series::new("a", [(0.0, f64::NAN)]);
    let one_dimension = Tensor::<2>::zeros([3, 1], &Device::flex());
    let config = MarginalsConfig::default();
    let summary = Summary {
        mean: f64::NAN,
        std: None,
        n: 1,
    };
    for svg in [
        line_chart("t", "x", "y", &[]),
        line_chart("t", "x", "y", &[nan, Series::new("b", [])]),
        accuracy_chart("t", "y", &[]),
        accuracy_chart("t", "y", &[AccuracyGroup::new("1%")]),
        accuracy_chart("t", "y", &[AccuracyGroup::new("1%").with("base", summary)]),
        marginals("t", one_dimension.clone(), one_dimension, &config),
    ] {
        assert_svg(&svg);
        assert!(svg.contains("no data"));
    }
}

#[test]
fn names_are_escaped() {
    let series = Series::new("<b> & \"c\"", [(0.0, 1.0), (1.0, 2.0)]);
    let svg = line_chart("<script>alert(1)</script>", "x < y", "'", &[series]);
    assert_svg(&svg);
    assert!(!svg.contains("<script") && !svg.contains("<b>"));
}

#[test]
fn accuracy_charts_take_missing_and_equal_values() {
    let summary = |mean, std| Summary { mean, std, n: 3 };
    let group = AccuracyGroup::new("1%")
        .with("base", summary(70.0, Some(f64::NAN)))
        .with("continued", summary(f64::INFINITY, None))
        .with("+ E2MC", summary(70.0, None));
    let groups: Vec<_> = (0..12).map(|_| group.clone()).collect();
    assert_svg(&accuracy_chart("t", "y", &groups[..1]));
    assert_svg(&accuracy_chart("t", "y", &groups));
}

#[test]
fn marginals_are_a_function_of_the_seed() {
    let device = Device::flex();
    let before = Tensor::<2>::from_floats(
        [
            [0.1, 0.9, 0.5],
            [f32::NAN, 0.2, 0.3],
            [0.4, 7.0, 0.6],
            [0.0, 1.0, 1.0],
        ],
        &device,
    );
    let draw = |seed| {
        let config = MarginalsConfig {
            pairs: 1,
            points: 3,
            seed,
        };
        marginals("t", before.clone(), before.clone(), &config)
    };
    let figures: Vec<_> = (0..8).map(draw).collect();
    figures.iter().for_each(|svg| assert_svg(svg));
    assert_eq!(figures[3], draw(3));
    assert!(figures.iter().any(|svg| *svg != figures[0]));
}

#[test]
#[should_panic(expected = "before [2, 3] and after [2, 4]")]
fn marginals_need_one_shape() {
    let device = Device::flex();
    let zeros = |d| Tensor::<2>::zeros([2, d], &device);
    marginals("t", zeros(3), zeros(4), &MarginalsConfig::default());
}
