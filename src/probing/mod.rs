//! Probes of a backbone: features, draws of labels, linear probes, and comparisons of two
//! backbones.

mod comparison;
mod features;
mod images;
mod label_probes;
mod predictions;

pub use comparison::Comparison;
pub(crate) use comparison::{LabeledBackbone, compare};
pub(crate) use features::{Extraction, extract};
pub(crate) use images::{check_channels, evaluation_loader};
pub use label_probes::LabelProbes;
pub(crate) use label_probes::probe_all;
pub(crate) use predictions::{read_predictions, write_predictions};
