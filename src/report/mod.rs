//! The pages and tables of studies and comparisons.

mod charts;
mod collapse;
mod comparison_page;
mod criteria;
mod diagnosis_table;
mod document;
mod embedding_table;
mod neighbors;
mod page;
mod probe_epochs;
mod sections_page;
mod style;
mod table;
mod verdict;

pub(crate) use comparison_page::comparison_page;
pub use diagnosis_table::diagnosis_table;
pub use embedding_table::embedding_table;
pub(crate) use page::page;
pub use sections_page::Section;
pub(crate) use sections_page::sections_page;
pub use table::{
    Table, accuracy_table, comparison_table, finetune_table, knn_table, significance_table,
    svm_table,
};
pub use verdict::{VERDICT_NOTE, verdict_sentences};
