//! Writes a page with every figure, drawn from made-up values. For looking at changes of the
//! figures: `cargo run --release -p e2mc-eval --example figures -- figures.html`

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::figures::{
    AccuracyGroup, MarginalsConfig, Series, accuracy_chart, heat_map, line_chart, marginals,
};
use e2mc_eval::statistics::Summary;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("figures.html".into());
    let figures = [
        loss_curves(),
        entropy_curves(),
        accuracies()?,
        many_curves(),
        many_accuracies()?,
        weights(),
        marginal_scatter(),
        line_chart("Nothing logged yet", "step", "loss", &[]),
    ];
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Figures</title>\n\
         <body style=\"max-width:900px;margin:auto\">\n{}",
        figures.join("\n<hr>\n")
    );
    std::fs::write(&path, page)?;
    println!("wrote {path}");
    Ok(())
}

fn loss_curves() -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut curve = |name: &str, level: f64, fall: f64| {
        let points = (0..780).map(|step| {
            let t = f64::from(step) / 780.0;
            let noise = rng.random_range(-0.04..0.04);
            (f64::from(step), level + fall * (-4.0 * t).exp() + noise)
        });
        Series::new(name, points.collect::<Vec<_>>()).with_smoothing(25)
    };
    let series = [curve("continued", 2.31, 0.08), curve("+ E2MC", 2.27, 0.2)];
    line_chart("Base loss (SwAV)", "step", "loss", &series)
}

fn entropy_curves() -> String {
    let curve = |name: &str, from: f64, to: f64| {
        let points = (0..=10).map(|epoch| {
            let t = f64::from(epoch);
            // One missing value, as after a step with NaN.
            let y = to + (from - to) * (-0.5 * t).exp();
            (
                t,
                if epoch == 6 && name == "continued" {
                    f64::NAN
                } else {
                    y
                },
            )
        });
        Series::new(name, points.collect::<Vec<_>>())
    };
    let series = [
        curve("continued", -0.62, -0.66),
        curve("+ E2MC (1, 25)", -0.62, -0.11),
        curve("+ E2MC (0.3, 8)", -0.62, -0.2),
    ];
    line_chart(
        "Marginal entropy",
        "epoch",
        "entropy per dimension (nats)",
        &series,
    )
}

fn accuracies() -> Result<String, Box<dyn std::error::Error>> {
    let group = |label: &str, trials: [&[f64]; 3]| -> Result<_, Box<dyn std::error::Error>> {
        let names = ["base", "continued", "+ E2MC"];
        names
            .iter()
            .zip(trials)
            .try_fold(AccuracyGroup::new(label), |group, (name, trials)| {
                Ok(group.with(*name, Summary::of(trials)?))
            })
    };
    let groups = [
        group(
            "1% of the labels",
            [
                &[68.3, 68.9, 67.6],
                &[68.6, 69.0, 68.0],
                &[69.1, 69.4, 68.2],
            ],
        )?,
        group(
            "10% of the labels",
            [
                &[78.4, 78.2, 78.7],
                &[78.3, 78.4, 78.6],
                &[79.0, 78.9, 79.2],
            ],
        )?,
        group("100% of the labels", [&[80.9], &[80.7], &[81.5]])?,
    ];
    Ok(accuracy_chart(
        "Linear probe",
        "top-1 accuracy (%)",
        &groups,
    ))
}

const BRANCHES: [&str; 8] = [
    "base",
    "continued",
    "+ E2MC (1, 25)",
    "+ E2MC (0.3, 8)",
    "+ VCReg",
    "+ AUH uniformity",
    "+ MMCR",
    "+ E2MC, entropy only",
];

fn many_curves() -> String {
    let series = BRANCHES.iter().enumerate().map(|(i, name)| {
        let points = (0..600).map(|step| {
            let t = f64::from(step) / 600.0;
            (f64::from(step), 0.2 * i as f64 * t + (-3.0 * t).exp())
        });
        Series::new(*name, points)
    });
    let series: Vec<_> = series.collect();
    line_chart("Eight branches", "step", "loss", &series)
}

fn many_accuracies() -> Result<String, Box<dyn std::error::Error>> {
    let mut groups = Vec::new();
    for (label, level) in [
        ("1%", 53.0),
        ("10%", 68.0),
        ("100%", 75.0),
        ("5/class", 41.0),
    ] {
        let mut group = AccuracyGroup::new(format!("{label} of the labels"));
        for (i, name) in BRANCHES.iter().enumerate() {
            let mean = level + 0.3 * ((i * 5) % 8) as f64;
            group = group.with(*name, Summary::of(&[mean - 0.3, mean, mean + 0.4])?);
        }
        groups.push(group);
    }
    Ok(accuracy_chart(
        "Eight branches",
        "top-1 accuracy (%)",
        &groups,
    ))
}

/// The paper's Table D.2.
fn weights() -> String {
    let names = |weights: &[f64]| weights.iter().map(f64::to_string).collect::<Vec<_>>();
    let values = [
        [53.69, f64::NAN, 53.63, f64::NAN, 53.66],
        [f64::NAN, f64::NAN, 54.09, f64::NAN, 53.88],
        [53.85, 53.92, 54.29, 54.99, 55.27],
        [f64::NAN, f64::NAN, 51.53, f64::NAN, 55.12],
    ];
    heat_map(
        "Linear probe, 1% of the labels, by the weights of E2MC",
        "covariance weight (gamma)",
        "entropy weight (beta)",
        &names(&[0.0, 0.1, 1.0, 10.0]),
        &names(&[0.0, 0.1, 1.0, 10.0, 25.0]),
        &values.concat(),
    )
}

fn marginal_scatter() -> String {
    const N: usize = 2000;
    const D: usize = 16;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut before = Vec::with_capacity(N * D);
    let mut after = Vec::with_capacity(N * D);
    for _ in 0..N {
        let common: f32 = rng.random_range(-1.0..1.0);
        for dim in 0..D {
            let own: f32 = rng.random_range(-1.0..1.0);
            let sign = if dim % 2 == 0 { 1.0 } else { -1.0 };
            let narrow = 0.5 + 0.3 * (0.7 * sign * common + 0.3 * own).powi(3);
            before.push(narrow);
            after.push(0.5 + 0.45 * (0.2 * sign * common + 0.8 * own));
        }
    }
    let device = Device::default();
    let tensor = |values| Tensor::<2>::from_data(TensorData::new(values, [N, D]), &device);
    marginals(
        "Marginals of the compact embeddings",
        tensor(before),
        tensor(after),
        &MarginalsConfig::default(),
    )
}
