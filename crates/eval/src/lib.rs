//! Probes, statistics and figures that show whether a backbone became better.

mod error;
mod extract;
mod features;
pub mod figures;
mod probe;
mod standardize;
pub mod statistics;

pub use error::EvalError;
pub use extract::extract_features;
pub use features::Features;
pub use probe::{LabelFraction, LinearProbeConfig, ProbeOptimizer, ProbeResult, linear_probe};
pub use standardize::Standardizer;
