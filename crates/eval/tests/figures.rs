//! Figures are well-formed whatever the values.

use burn::tensor::{Device, Tensor};
use e2mc_eval::diagnostics::NeighborDistances;
use e2mc_eval::figures::{
    AccuracyGroup, MarginalsConfig, Series, TableRow, accuracy_chart, distance_histograms,
    heat_map, line_chart, marginals, table,
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

/// The number of polygons with this many corners in the figure. Each marker is a polygon.
fn polygons(svg: &str, corners: usize) -> usize {
    let points = svg.split("<polygon ").skip(1).map(|polygon| {
        let points = polygon.split("points=\"").nth(1).unwrap();
        points.split('"').next().unwrap().split_whitespace().count()
    });
    points.filter(|&count| count == corners).count()
}

#[test]
fn eight_series_have_eight_markers() {
    let names: Vec<String> = (0..8).map(|i| format!("a branch of number {i}")).collect();
    let curve =
        |(i, name): (usize, &String)| Series::new(name, [(0.0, i as f64), (1.0, 2.0 * i as f64)]);
    let series: Vec<_> = names.iter().enumerate().map(curve).collect();
    let svg = line_chart("t", "x", "y", &series);
    assert_svg(&svg);
    // Two on each curve and one in the legend: the circles, squares, triangles and so on.
    let count = |corners| polygons(&svg, corners);
    assert_eq!([24, 4, 3, 12].map(count), [6, 9, 6, 3]);
    assert_eq!(polygons(&line_chart("t", "x", "y", &series[..1]), 24), 0);

    let summary = |mean| Summary {
        mean,
        std: Some(0.3),
        n: 3,
    };
    let group = names
        .iter()
        .enumerate()
        .fold(AccuracyGroup::new("1%"), |group, (i, name)| {
            group.with(name, summary(70.0 + i as f64))
        });
    let svg = accuracy_chart("t", "y", &[group.clone(), group]);
    assert_svg(&svg);
    assert_eq!(polygons(&svg, 24), 6);
}

#[test]
fn a_name_longer_than_the_figure_is_shortened() {
    let name = "branch ".repeat(100);
    let svg = line_chart("t", "x", "y", &[Series::new(&name, [(0.0, 1.0)])]);
    assert_svg(&svg);
    assert!(!svg.contains(&name) && svg.contains('\u{2026}'));
}

#[test]
fn heat_maps_show_each_value() {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let (rows, columns) = (names(&["0", "1"]), names(&["0", "<1>", "25"]));
    let values = [53.69, f64::NAN, -1.5, 55.27, f64::INFINITY, 51.53];
    let svg = heat_map("t", "gamma", "beta", &rows, &columns, &values);
    assert_svg(&svg);
    for value in ["53.7", "55.3", "51.5", "\u{2212}1.5", "gamma", "beta", "25"] {
        assert!(svg.contains(value), "{value}");
    }
    assert_eq!(svg.matches('\u{2013}').count(), 2);
    assert_svg(&heat_map("t", "x", "y", &rows[..1], &columns[..1], &[0.25]));
    assert!(heat_map("t", "x", "y", &[], &[], &[]).contains("no data"));
    let many = names(&["1234.5"; 60]);
    assert_svg(&heat_map("t", "x", "y", &many[..3], &many, &[0.5; 180]));
}

#[test]
#[should_panic(expected = "5 values for 2 rows and 3 columns")]
fn heat_maps_need_a_value_per_cell() {
    let names = vec![String::new(); 3];
    heat_map("t", "x", "y", &names[..2], &names, &[0.0; 5]);
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

/// Values of a distribution around a center.
fn spread(centre: f64, width: f64) -> Vec<f64> {
    let unit = |i: i32| (f64::from((i * 37) % 101) + f64::from((i * 53) % 103)) / 204.0 - 0.5;
    (0..2000).map(|i| centre + width * unit(i)).collect()
}

fn distances(near: f64, far: f64) -> NeighborDistances {
    NeighborDistances {
        nearest: spread(near, 0.8),
        kth: spread(far, 0.8),
        k: 100,
    }
}

fn figure_3() -> String {
    let models = [
        ("SwAV".to_owned(), distances(0.7, 1.0)),
        ("SwAV + E2MC".to_owned(), distances(0.5, 1.1)),
    ];
    distance_histograms("Distances to neighbors", &models)
}

fn figure_4(bands: bool) -> String {
    let curve = |name: &str, gain: f64| {
        let point = |epoch: i32| {
            let x = f64::from(epoch);
            let mean = 53.7 + gain * (1.0 - (-x / 6.0).exp());
            (x, Summary::of(&[mean - 0.15, mean, mean + 0.15]).unwrap())
        };
        let mut series = Series::of_trials(name, (0..=30).step_by(5).map(point));
        if !bands {
            series.band.clear();
        }
        series
    };
    let series = [curve("continued", 0.05), curve("+ E2MC", 1.6)];
    line_chart(
        "1% linear accuracy",
        "epochs of continued training",
        "top-1 (%)",
        &series,
    )
}

fn table_3() -> String {
    let row = |name: &str, values: [f64; 3]| TableRow {
        name: name.into(),
        values: values
            .map(|x| Summary::of(&[x - 0.1, x, x + 0.1]).ok())
            .to_vec(),
    };
    let mut rows = vec![
        row("SwAV + VCReg", [54.02, 68.88, 75.36]),
        row("SwAV + MMCR", [53.30, 68.77, 75.27]),
        row("SwAV + E2MC", [55.27, 68.98, 75.41]),
    ];
    rows[1].values[2] = None;
    table("Criteria", &["1%", "10%", "100%"].map(String::from), &rows)
}

#[test]
fn histograms_bands_and_tables_are_drawn() {
    for (name, svg) in [
        ("figure3", figure_3()),
        ("figure4", figure_4(true)),
        ("table3", table_3()),
    ] {
        assert_svg(&svg);
        if let Some(folder) = std::env::var_os("FIGURES") {
            let path = std::path::Path::new(&folder)
                .join(name)
                .with_extension("svg");
            std::fs::write(path, svg).unwrap();
        }
    }
    assert_eq!(figure_3().matches("overlap 0.").count(), 2);
    // A band is one filled area and two edges.
    let count = |bands, shape| figure_4(bands).matches(shape).count();
    assert_eq!(count(true, "<polygon"), count(false, "<polygon") + 2);
    assert_eq!(count(true, "opacity=\"0.5\""), 4);
    assert_eq!(count(false, "opacity=\"0.5\""), 0);
    // The best of each column; the missing value is a dash.
    assert_eq!(table_3().matches("font-weight=\"bold\"").count(), 1 + 3);
    assert!(table_3().contains('\u{2013}'));
}

#[test]
fn empty_histograms_and_tables_say_so() {
    let none = NeighborDistances {
        nearest: vec![f64::NAN],
        kth: vec![f64::NAN],
        k: 1,
    };
    for svg in [
        distance_histograms("t", &[]),
        distance_histograms("t", &[("a".into(), none)]),
        table("t", &[], &[]),
    ] {
        assert_svg(&svg);
        assert!(svg.contains("no data"));
    }
}
