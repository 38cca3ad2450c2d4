//! Linear probes: softmax regression on frozen features.

mod classifier;
mod config;
mod linear;
mod rows;
mod source;

pub use config::{LinearProbeConfig, ProbeOptimizer};
pub use linear::{ProbeResult, linear_probe, linear_probe_per_epoch};
pub use source::{CachedCrops, TrainingFeatures};
