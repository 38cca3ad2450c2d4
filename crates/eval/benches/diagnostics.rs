//! Time of the diagnostics of a batch of embeddings:
//! `cargo bench -p e2mc-eval --bench diagnostics`.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use e2mc_eval::diagnostics::{
    effective_rank, marginal_uniformity, mean_absolute_correlation, mean_std,
};

/// Median time of 15 calls, in milliseconds.
fn time(diagnostic: fn(Tensor<2>) -> f64, values: &Tensor<2>) -> f64 {
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(diagnostic(values.clone()));
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[7]
}

fn main() {
    let device = Device::flex();
    for [n, d] in [[256, 64], [512, 128], [512, 2048], [512, 8192]] {
        let values = Tensor::<2>::random([n, d], Distribution::Default, &device);
        println!(
            "{n} x {d}, ms: effective rank {:.2}, correlation {:.2}, std {:.2}, uniformity {:.2}",
            time(effective_rank, &values),
            time(mean_absolute_correlation, &values),
            time(mean_std, &values),
            time(marginal_uniformity, &values),
        );
    }
}
