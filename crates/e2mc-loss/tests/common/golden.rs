//! The golden files that tests/reference/e2mc_loss.py wrote, and the distance from them.

use std::path::PathBuf;

use e2mc_loss::CompactSpace;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::inputs::sketch;

/// Relative error of values. f32 rounds the spacings and logarithms to about 1e-6, and sums of
/// them cancel where the entropy is near 0.
pub const VALUE: f64 = 2e-5;

/// Norm-wise relative error of gradients. A sample's gradient is the difference of the reciprocals
/// of two spacings, which loses one to two further digits.
pub const GRADIENT: f64 = 3e-4;

/// Below it a golden value or norm is f64 rounding noise around 0 (the square of a covariance of
/// 1e-7, f32's own resolution, is 1e-14), and errors are absolute.
pub const ZERO: f64 = 1e-12;

/// One term's gradient in a golden file.
#[derive(Deserialize)]
pub struct Gradient {
    pub norm: f64,
    /// All of it, row by row.
    pub full: Option<Vec<f64>>,
    /// All of it, as little-endian f32 in a file of this name.
    pub file: Option<String>,
    /// Its inner products with 64 sign vectors.
    pub sketch: Option<Vec<f64>>,
}

impl Gradient {
    /// Norm-wise relative error of `found`; absolute where the golden gradient is [`ZERO`].
    pub fn error(&self, found: &[f32]) -> f64 {
        assert!(
            found.iter().all(|g| g.is_finite()),
            "a gradient is not finite"
        );
        let norm = if self.norm < ZERO { 1.0 } else { self.norm };
        if let Some(full) = &self.full {
            assert_eq!(full.len(), found.len());
            return distance(full.iter().copied(), found.iter().copied()) / norm;
        }
        if let Some(file) = &self.file {
            let bytes = std::fs::read(folder().join(file)).expect("the golden file");
            let full = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            assert_eq!(full.len(), found.len());
            return distance(full.map(f64::from), found.iter().copied()) / norm;
        }
        // Over random signs, the mean square of an inner product is the squared norm.
        let golden = self
            .sketch
            .as_ref()
            .expect("a golden gradient in one of three forms");
        let square: f64 = (golden.iter().zip(sketch(found)))
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        (square / golden.len() as f64).sqrt() / norm
    }
}

fn distance(golden: impl Iterator<Item = f64>, found: impl Iterator<Item = f32>) -> f64 {
    let square: f64 = golden
        .zip(found)
        .map(|(a, b)| (a - f64::from(b)).powi(2))
        .sum();
    square.sqrt()
}

/// Relative error of `found`; absolute where `golden` is [`ZERO`].
pub fn value_error(golden: f64, found: f32) -> f64 {
    let scale = if golden.abs() < ZERO {
        1.0
    } else {
        golden.abs()
    };
    (f64::from(found) - golden).abs() / scale
}

/// Reads one golden file.
pub fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; tests/reference/e2mc_loss.py writes it",
            path.display()
        )
    });
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The compact space by its name in the golden files.
pub fn space(name: &str) -> CompactSpace {
    match name {
        "hypersphere" => CompactSpace::Hypersphere,
        "hypercube" => CompactSpace::Hypercube,
        other => panic!("no compact space {other} in the golden files"),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/e2mc_loss")
}
