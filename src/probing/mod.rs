//! Classifiers on a backbone: features, draws of labels, linear probes, predictions, and
//! comparisons of two backbones.

mod comparison;
mod features;
mod images;
mod label_probes;
mod labeled;
mod predictions;
mod verdict;

pub use comparison::{Comparison, DrawComparison, compare_predictions};
pub(crate) use comparison::{PredictedBackbone, compare};
pub(crate) use features::{Extraction, extract};
pub(crate) use images::{check_channels, evaluation_loader};
pub use label_probes::LabelProbes;
pub(crate) use label_probes::probe_all;
pub(crate) use labeled::LabeledImages;
pub use predictions::{PredictedProbe, Predictions};
pub use verdict::{AmountVerdict, Outcome, Verdict};
