use std::io::{self, Write};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// Prints a text and a line break.
pub(crate) fn print(text: &str) {
    // A reader that stops early, such as `head`, is not an error.
    let _ = writeln!(io::stdout(), "{text}");
}

/// A table as text, with its caption.
pub(crate) fn draw(table: &e2mc::Table) -> String {
    let mut drawn = self::table(&table.headings);
    for row in &table.rows {
        drawn.add_row(row);
    }
    right(&mut drawn, 1);
    format!("{drawn}\n{}\n", table.caption)
}

/// An empty table with headings.
pub(crate) fn table<T: AsRef<str>>(headings: &[T]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_header(headings.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    table
}

/// Aligns the columns from `first` on to the right.
pub(crate) fn right(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("our types have a JSON form")
}
