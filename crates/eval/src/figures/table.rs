use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{
    AXIS, GRID, INK, MARGIN, MUTED, TEXT_SIZE, TITLE_HEIGHT, WIDTH, figure, no_data, px, tenths,
    text, text_width,
};
use crate::statistics::Summary;

const ROW: i32 = 34;

/// One model of a [`table`].
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// Name of the model or criterion.
    pub name: String,
    /// One value per column; `None` if missing.
    pub values: Vec<Option<Summary>>,
}

/// A table of models or criteria (Table 3): one row per model, one column per condition, such as
/// the amount of labels. Cells show the mean and standard deviation. The highest mean of a column
/// is bold.
///
/// # Panics
///
/// If the number of values of a row is not the number of columns.
pub fn table(title: &str, columns: &[String], rows: &[TableRow]) -> String {
    if rows.is_empty() || columns.is_empty() {
        return no_data(title, 200);
    }
    for row in rows {
        let (values, columns) = (row.values.len(), columns.len());
        assert_eq!(values, columns, "values of row {}, columns", row.name);
    }
    let best: Vec<Option<f64>> = (0..columns.len())
        .map(|column| {
            let means = rows.iter().filter_map(|row| Some(row.values[column]?.mean));
            means.filter(|mean| mean.is_finite()).reduce(f64::max)
        })
        .collect();
    let names = rows.iter().map(|row| text_width(&row.name, TEXT_SIZE) + 30);
    let left = MARGIN + names.max().unwrap_or(0).clamp(120, WIDTH / 2);
    let width = (WIDTH - MARGIN - left) / columns.len() as i32;
    let right = |column: usize| left + width * (column as i32 + 1);
    let height = TITLE_HEIGHT + ROW * (rows.len() as i32 + 1) + 24;

    figure(title, height, |root| {
        let line = |y: i32, style: ShapeStyle| {
            let ends = vec![(px(MARGIN), px(y)), (px(WIDTH - MARGIN), px(y))];
            root.draw(&PathElement::new(ends, style))
        };
        let end = Pos::new(HPos::Right, VPos::Center);
        let middle = |row: usize| TITLE_HEIGHT + ROW * row as i32 + ROW / 2;
        line(TITLE_HEIGHT, AXIS.stroke_width(tenths(16)))?;
        for (column, name) in columns.iter().enumerate() {
            let at = (px(right(column)), px(middle(0)));
            root.draw_text(name, &text(TEXT_SIZE, MUTED).pos(end), at)?;
        }
        line(TITLE_HEIGHT + ROW, AXIS.stroke_width(tenths(10)))?;
        for (i, row) in rows.iter().enumerate() {
            let y = middle(i + 1);
            if i > 0 {
                line(y - ROW / 2, GRID.stroke_width(tenths(10)))?;
            }
            root.draw_text(&row.name, &text(TEXT_SIZE, INK), (px(MARGIN), px(y)))?;
            for (column, value) in row.values.iter().enumerate() {
                let known = value.filter(|value| value.mean.is_finite());
                let label = known.map_or("\u{2013}".to_owned(), |value| value.to_string());
                let mut style = text(TEXT_SIZE, INK).pos(end);
                if known.is_some_and(|value| Some(value.mean) == best[column]) {
                    style.font = style.font.style(FontStyle::Bold);
                }
                root.draw_text(&label, &style, (px(right(column)), px(y)))?;
            }
        }
        line(
            TITLE_HEIGHT + ROW * (rows.len() as i32 + 1),
            AXIS.stroke_width(tenths(16)),
        )
    })
}
