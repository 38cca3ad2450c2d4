//! Measurements of features and embeddings on the same images, with standard errors.

mod comparison;
mod measures;
mod quantity;
mod summary;

pub use comparison::EmbeddingComparison;
pub use measures::EmbeddingMeasures;
pub use quantity::Quantity;
pub use summary::EmbeddingSummary;
