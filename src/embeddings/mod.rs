//! What a backbone and its projector make of the same images, in numbers with their errors.

mod comparison;
mod measures;
mod quantity;
mod summary;

pub use comparison::EmbeddingComparison;
pub use measures::EmbeddingMeasures;
pub use quantity::Quantity;
pub use summary::EmbeddingSummary;
