//! Classifiers on a backbone: features, draws of labels, probes, predictions, and comparisons of
//! two backbones.

mod comparison;
mod features;
mod images;
mod kind;
mod label_probes;
mod labeled;
mod neighbors;
mod predictions;
mod probe_images;
mod training_features;
mod verdict;

pub use comparison::{Comparison, DrawComparison, compare_predictions};
pub(crate) use comparison::{PredictedBackbone, compare};
pub(crate) use features::{Extraction, FeatureKind, FeaturesOf, extract};
pub(crate) use images::{check_channels, evaluation_loader};
pub(crate) use kind::ProbeKind;
pub use label_probes::LabelProbes;
pub(crate) use label_probes::Probing;
pub(crate) use labeled::LabeledImages;
pub(crate) use neighbors::{distances_of_features, distances_to_neighbors};
pub use predictions::{PredictedProbe, Predictions};
pub(crate) use probe_images::{Around, ProbeImages};
pub(crate) use training_features::TrainFeatures;
pub use verdict::{AmountVerdict, Outcome, Verdict};
