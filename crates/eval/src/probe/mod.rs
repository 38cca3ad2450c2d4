//! Linear probes: softmax regression on frozen features.

mod channel_norm;
mod classifier;
mod config;
mod linear;
mod map;
mod parameter;
mod product;
mod rows;
mod softmax;
mod source;

pub use config::{LinearProbeConfig, ProbeOptimizer};
pub use linear::{ProbeResult, linear_probe, linear_probe_per_epoch};
pub(crate) use map::WINDOW;
pub use map::{MapProbeConfig, map_probe, pooled_map};
pub use source::{CachedCrops, TrainingFeatures};
