//! Probes, statistics and figures that measure whether a backbone improved.
//!
//! 1. [`extract_features`] runs every image through the frozen backbone once. [`extract_to_file`]
//!    writes the features to a file while computing them, and [`StoredFeatures`] reads them back.
//! 2. [`linear_probe`] trains softmax regression on a labeled part of the features and tests it on
//!    the test images.
//! 3. [`knn`] classifies the test images by their nearest training images, without training.
//! 4. [`svm`] trains one linear SVM per class, for images that show several classes (VOC07).
//! 5. [`statistics`] tests whether two backbones differ significantly on these images.
//! 6. [`diagnostics`] measures embeddings: rank, correlation, marginals.
//! 7. The module `figures` draws accuracies, training curves, heat maps and marginals as SVG. It
//!    needs the feature of the same name.
//!
//! ```
//! use burn::tensor::Device;
//! use e2mc_eval::statistics::mcnemar;
//! use e2mc_eval::{Features, LinearProbeConfig, linear_probe};
//!
//! # fn main() -> e2mc_eval::Result<()> {
//! // Two "backbones": one separates the two classes, the other does not.
//! let labels: Vec<u32> = (0..100).map(|i| i % 2).collect();
//! let good = labels.iter().map(|&y| y as f32).collect();
//! let bad = (0..100).map(|i| (i % 7) as f32).collect();
//! let good = Features::new(good, 1, labels.clone(), 2)?;
//! let bad = Features::new(bad, 1, labels, 2)?;
//!
//! let (config, device) = (LinearProbeConfig::small(), Device::flex());
//! let first = linear_probe(&bad, &bad, &config, &device)?;
//! let second = linear_probe(&good, &good, &config, &device)?;
//! assert_eq!(second.accuracy, 1.0);
//! assert!(mcnemar(&first.correct, &second.correct)?.p_value < 0.001);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod accuracy;
pub mod diagnostics;
mod error;
mod extract;
mod feature_file;
mod features;
mod features_part;
#[cfg(feature = "figures")]
pub mod figures;
mod knn;
mod label_amount;
mod nearest;
mod probe;
mod replaced;
mod standardize;
pub mod statistics;
mod stored_features;
pub mod svm;

pub use error::{EvalError, Result};
pub use extract::{extract_features, extract_maps, extract_to_file, map_features};
pub use feature_file::FeatureFile;
pub use features::Features;
pub use features_part::FeaturesPart;
pub use knn::{KnnConfig, KnnResult, knn, knn_for_each};
pub use label_amount::LabelAmount;
pub use probe::{
    CachedCrops, LinearProbeConfig, MapProbeConfig, ProbeOptimizer, ProbeResult, TrainingFeatures,
    linear_probe, linear_probe_per_epoch, map_probe, pooled_map,
};
pub use standardize::Standardizer;
pub use stored_features::StoredFeatures;
