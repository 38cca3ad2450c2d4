//! The page and the tables of what a study or a comparison found.

mod charts;
mod collapse;
mod comparison_page;
mod criteria;
mod document;
mod neighbors;
mod page;
mod probe_epochs;
mod style;
mod table;

pub(crate) use comparison_page::comparison_page;
pub(crate) use page::page;
pub use table::{
    Table, accuracy_table, comparison_table, embedding_table, finetune_table, knn_table,
    significance_table, svm_table,
};
