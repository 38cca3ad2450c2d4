use maud::{PreEscaped, html};
use serde::Serialize;

use super::Table;
use super::document::{document, table};

/// A section of a page: a table or a figure with its conclusion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// The conclusion, in a sentence or two.
    pub line: String,
    /// The table.
    pub table: Option<Table>,
    /// The figure, as SVG.
    #[serde(skip)]
    pub figure: Option<String>,
}

/// A page of sections. `running` describes the missing runs.
pub(crate) fn sections_page(
    title: &str,
    subtitle: &str,
    running: Option<&str>,
    sections: &[Section],
) -> String {
    let body = html! {
        h1 { (title) }
        p.note { (subtitle) }
        @if let Some(running) = running {
            section.running { p { (running) } }
        }
        @for section in sections {
            section {
                h2 { (section.title) }
                p.verdict { (section.line) }
                @if let Some(of_section) = &section.table { (table(of_section)) }
                @if let Some(figure) = &section.figure { (PreEscaped(figure)) }
            }
        }
    };
    document(title, body)
}
