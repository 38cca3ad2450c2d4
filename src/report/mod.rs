//! The page and the tables of what a study found.

mod charts;
mod page;
mod style;
mod table;

pub(crate) use page::page;
pub use table::{Table, accuracy_table, comparison_table, embedding_table};
