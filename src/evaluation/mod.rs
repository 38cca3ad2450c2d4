//! Evaluation of frozen backbones by classifiers on their features.

mod features;
mod images;
mod knn;
mod linear;
mod objects;
mod probes;
mod report;
mod source;

pub use images::ImagePlan;
pub use knn::{KnnEvaluation, KnnPlan, KnnRow, evaluate_knn};
pub use linear::{Evaluation, EvaluationPlan, evaluate};
pub use objects::{SvmEvaluation, SvmPlan, evaluate_svm};
pub use probes::Probes;
pub use report::{write_comparison, write_evaluation_report};
pub use source::FeatureSource;
