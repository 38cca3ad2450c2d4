use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Table;
use super::style::STYLE;

/// A self-contained page in one file.
pub(super) fn document(title: &str, body: Markup) -> String {
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    html.into_string()
}

/// A table with its caption.
pub(super) fn table(table: &Table) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { @for heading in &table.headings { th { (heading) } } } }
                tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
        p.note { (table.caption) }
    }
}
