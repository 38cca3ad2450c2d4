//! Memory of a probe on many features. Alone in its file, since the peak is per process.
#![cfg(target_os = "linux")]

use burn::tensor::Device;
use e2mc_eval::{Features, LinearProbeConfig, linear_probe};

/// Largest resident memory of this process so far, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

fn features(images: usize, dims: usize) -> Features {
    let values = (0..images * dims).map(|i| ((i * 2_654_435_761) % 1021) as f32 / 1021.0);
    let labels = (0..images as u32).map(|i| i % 2).collect();
    Features::new(values.collect(), dims, labels, 2).unwrap()
}

#[test]
fn a_probe_on_all_labels_does_not_copy_the_features() {
    const BYTES: usize = 60_000 * 1024 * size_of::<f32>();
    let config = LinearProbeConfig::small().with_epochs(1);
    let device = Device::flex();
    let test = features(5000, 1024);
    // Buffers and threads that any probe needs.
    linear_probe(&test, &test, &config, &device).unwrap();

    let train = features(60_000, 1024);
    let before = peak();
    linear_probe(&train, &test, &config, &device).unwrap();
    let growth = peak().saturating_sub(before);
    assert!(growth < BYTES / 5, "{growth} bytes beside {BYTES}");
}
