//! Forward and backward of the criterion on one view, fused and composed, on the CPU:
//! `cargo bench --bench e2mc_loss`. Against PyTorch: benches/peers/e2mc_loss.py.

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use e2mc::loss::{E2mcLoss, E2mcLossConfig, E2mcOutput};

const SHAPES: [(usize, usize); 4] = [(512, 128), (512, 2048), (512, 8192), (4096, 2048)];

fn main() {
    divan::main();
}

#[divan::bench(args = SHAPES)]
fn hypersphere(bencher: Bencher, shape: (usize, usize)) {
    run(bencher, shape, &E2mcLossConfig::swav(), E2mcLoss::forward);
}

#[divan::bench(args = SHAPES)]
fn hypercube(bencher: Bencher, shape: (usize, usize)) {
    run(bencher, shape, &E2mcLossConfig::vicreg(), E2mcLoss::forward);
}

#[divan::bench(args = SHAPES, sample_count = 5)]
fn hypersphere_composed(bencher: Bencher, shape: (usize, usize)) {
    let forward = E2mcLoss::forward_composed;
    run(bencher, shape, &E2mcLossConfig::swav(), forward);
}

fn run(
    bencher: Bencher,
    (n, d): (usize, usize),
    config: &E2mcLossConfig,
    forward: fn(&E2mcLoss, &[Tensor<2>]) -> E2mcOutput,
) {
    let device = Device::flex().autodiff();
    device.seed(0);
    let criterion = config.init();
    let z = Tensor::<2>::random([n, d], Distribution::Normal(0.0, 1.0), &device).require_grad();
    bencher.bench_local(|| {
        let output = forward(&criterion, std::slice::from_ref(&z));
        black_box(z.grad(&output.loss.backward()))
    });
}
