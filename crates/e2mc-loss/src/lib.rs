#![doc = include_str!("../README.md")]

mod config;
mod covariance;
mod entropy;
mod error;
#[cfg(any(feature = "flex", feature = "cubecl"))]
mod fused;
mod loss;
mod space;
mod surrogate;

pub use config::E2mcLossConfig;
pub use covariance::off_diagonal_covariance;
pub use entropy::marginal_entropy;
pub use error::{InvalidOption, NotFinite};
pub use loss::{E2mcLoss, E2mcOutput};
pub use space::CompactSpace;
