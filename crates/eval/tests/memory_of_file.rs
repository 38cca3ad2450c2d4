//! Memory of features that are read from a file and probed. Alone in its file, since the peak is
//! per process.
#![cfg(target_os = "linux")]

use burn::tensor::Device;
use e2mc_eval::{FeatureFile, Features, LinearProbeConfig, StoredFeatures, linear_probe};

const IMAGES: usize = 60_000;
const DIMS: usize = 1024;

/// Largest resident memory of this process so far, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

fn values(rows: std::ops::Range<usize>) -> Vec<f32> {
    let values = rows.start * DIMS..rows.end * DIMS;
    values
        .map(|i| ((i * 2_654_435_761) % 1021) as f32 / 1021.0)
        .collect()
}

#[test]
fn a_file_of_features_is_read_in_pieces_and_probed_without_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let names: Vec<String> = (0..IMAGES).map(|i| format!("{i}.jpg")).collect();
    let labels: Vec<u32> = (0..IMAGES as u32).map(|i| i % 2).collect();
    let classes = ["cat", "dog"].map(String::from);
    let mut file = FeatureFile::create(&path, &names, Some(&labels), &classes, DIMS).unwrap();
    for start in (0..IMAGES).step_by(1000) {
        file.append(&values(start..start + 1000)).unwrap();
    }
    file.finish().unwrap();
    let shape = StoredFeatures::shape(&path).unwrap();
    assert_eq!(shape, [IMAGES, DIMS]);

    let config = LinearProbeConfig::small().with_epochs(1);
    let device = Device::flex();
    let test = Features::new(values(0..5000), DIMS, labels[..5000].to_vec(), 2).unwrap();
    // Buffers and threads that any probe needs.
    linear_probe(&test, &test, &config, &device).unwrap();

    let before = peak();
    let stored = StoredFeatures::read(&path).unwrap();
    linear_probe(&stored.features, &test, &config, &device).unwrap();
    let growth = peak().saturating_sub(before);
    let features = IMAGES * DIMS * size_of::<f32>();
    assert!(growth < features / 5 * 6, "{growth} bytes for {features}");
    assert!(
        growth > features / 2,
        "the peak was reached before: {growth}"
    );
}
