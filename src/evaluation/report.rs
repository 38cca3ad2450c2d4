use std::path::Path;

use super::Evaluation;
use crate::files::{create_dir, write_atomically, write_json};
use crate::report::comparison_page;
use crate::{Comparison, Result};

const REPORT: &str = "report.html";

/// Writes `report.html` about backbones compared by [`evaluate`](super::evaluate). `title` names
/// them.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_evaluation_report(folder: &Path, title: &str, evaluation: &Evaluation) -> Result<()> {
    let Evaluation {
        backbones,
        comparisons,
        neighbors,
    } = evaluation;
    let page = comparison_page(title, backbones, neighbors, comparisons);
    write_atomically(&folder.join(REPORT), page.as_bytes())
}

/// Writes `report.html` and `comparisons.json` about predictions compared by
/// [`compare_predictions`](crate::compare_predictions).
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_comparison(folder: &Path, title: &str, comparisons: &[Comparison]) -> Result<()> {
    create_dir(folder)?;
    write_json(&folder.join("comparisons.json"), &comparisons)?;
    let page = comparison_page(title, &[], &[], comparisons);
    write_atomically(&folder.join(REPORT), page.as_bytes())
}
