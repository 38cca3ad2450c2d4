#![doc = include_str!("../README.md")]

mod config;
mod device;
mod epoch_state;
mod error;
mod failed_reads;
mod images;
mod memory;
mod metrics;
mod probes;
mod progress;
mod report;
mod results;
mod run_folder;
mod study;
mod table;
mod training;

pub use config::{MethodConfig, OptimizerConfig, StudyConfig};
pub use device::parse_device;
pub use epoch_state::EpochState;
pub use error::Error;
pub use metrics::StepMetrics;
pub use probes::{FractionComparison, FractionProbes};
pub use results::{Branch, StudyResults};
pub use run_folder::free_run_folder;
pub use study::Study;
pub use training::{Training, TrainingConfig};

pub use e2mc_data as data;
pub use e2mc_eval as eval;
pub use e2mc_loss as loss;
pub use e2mc_resnet as resnet;
pub use ssl_methods as methods;
