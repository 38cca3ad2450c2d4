//! Linear probes: softmax regression on frozen features.

mod classifier;
mod config;
mod linear;
mod rows;

pub use config::{LinearProbeConfig, ProbeOptimizer};
pub use linear::{ProbeResult, linear_probe};
