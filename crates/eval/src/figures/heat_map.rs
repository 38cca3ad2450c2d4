use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, drawable};
use super::canvas::{
    Area, Drawn, GRID, INK, MARGIN, MUTED, TEXT_SIZE, TITLE_HEIGHT, WIDTH, centered, figure,
    no_data, px, tenths, text, text_width,
};

/// Height of a row of cells, unless the label of the rows needs more.
const CELL_HEIGHT: i32 = 46;
/// The largest width of a cell.
const WIDEST: i32 = 130;
/// Space for the label of the rows, left of their names.
const Y_LABEL: i32 = 34;
/// Space below the cells for the names and the label of the columns.
const BELOW: i32 = 64;

/// A value for each pair of two settings, such as Table D.2's accuracy over the weights of entropy
/// and covariance. A grid of cells, each with its value; darker is higher.
///
/// `values` are `[rows, columns]`, row by row, with the first row at the top. A value that is not
/// finite is drawn as a dash.
///
/// # Panics
///
/// If there are not `rows.len() * columns.len()` values.
pub fn heat_map(
    title: &str,
    x_label: &str,
    y_label: &str,
    rows: &[String],
    columns: &[String],
    values: &[f64],
) -> String {
    assert_eq!(
        values.len(),
        rows.len() * columns.len(),
        "heat map: {} values for {} rows and {} columns",
        values.len(),
        rows.len(),
        columns.len()
    );
    let needed = (text_width(y_label, TEXT_SIZE) + 12) / rows.len().max(1) as i32;
    let cell_height = CELL_HEIGHT.max(needed);
    let height = TITLE_HEIGHT + cell_height * rows.len() as i32 + BELOW;
    let Some((low, high)) = Axis::extent(values.iter().copied()) else {
        return no_data(title, height.max(300));
    };
    let names = rows.iter().map(|name| text_width(name, TEXT_SIZE));
    let left = MARGIN + Y_LABEL + names.max().unwrap_or(0).min(WIDTH / 3) + 10;
    let width = ((WIDTH - MARGIN - left) / columns.len() as i32).clamp(1, WIDEST);
    let digits = digits(high - low);

    figure(title, height, |root| {
        let middle = TITLE_HEIGHT + cell_height * rows.len() as i32 / 2;
        let style = text(TEXT_SIZE, INK).transform(FontTransform::Rotate270);
        root.draw_text(y_label, &centered(style), (px(MARGIN), px(middle)))?;
        for (row, name) in rows.iter().enumerate() {
            let top = TITLE_HEIGHT + cell_height * row as i32;
            let right = Pos::new(HPos::Right, VPos::Center);
            let at = (px(left - 10), px(top + cell_height / 2));
            root.draw_text(name, &text(TEXT_SIZE, INK).pos(right), at)?;
            for column in 0..columns.len() {
                let value = values[row * columns.len() + column];
                let share = if high > low {
                    (value - low) / (high - low)
                } else {
                    0.0
                };
                let corner = (left + width * column as i32, top);
                let cell = Cell {
                    corner,
                    size: (width, cell_height),
                    share: drawable(value).then_some(share),
                };
                cell.draw(root, &format!("{value:.digits$}").replace('-', "\u{2212}"))?;
            }
        }
        let bottom = TITLE_HEIGHT + cell_height * rows.len() as i32;
        for (column, name) in columns.iter().enumerate() {
            let at = left + width * column as i32 + width / 2;
            let style = centered(text(fitting(name, width), INK));
            root.draw_text(name, &style, (px(at), px(bottom + 16)))?;
        }
        let at = left + width * columns.len() as i32 / 2;
        let style = centered(text(TEXT_SIZE, INK));
        root.draw_text(x_label, &style, (px(at), px(bottom + 42)))
    })
}

/// One cell of the grid.
struct Cell {
    /// Left upper corner, in figure units.
    corner: (i32, i32),
    /// Width and height.
    size: (i32, i32),
    /// Position of the value between the lowest and the highest; `None` without a value.
    share: Option<f64>,
}

impl Cell {
    fn draw(&self, root: &Area<'_>, value: &str) -> Drawn {
        let ((left, top), (width, height)) = (self.corner, self.size);
        let corners = [(px(left), px(top)), (px(left + width), px(top + height))];
        let (ground, ink, value) = match self.share {
            Some(share) if share > 0.6 => (shade(share), WHITE, value),
            Some(share) => (shade(share), INK, value),
            None => (WHITE, MUTED, "\u{2013}"),
        };
        root.draw(&Rectangle::new(corners, ground.filled()))?;
        root.draw(&Rectangle::new(corners, GRID.stroke_width(tenths(10))))?;
        let middle = (px(left + width / 2), px(top + height / 2));
        root.draw_text(value, &centered(text(fitting(value, width), ink)), middle)
    }
}

/// Text size at which a name fits into a width.
fn fitting(name: &str, width: i32) -> i32 {
    let needed = text_width(name, TEXT_SIZE) + 6;
    (TEXT_SIZE * width / needed.max(1)).clamp(6, TEXT_SIZE)
}

/// From almost white to dark blue. Lightness falls evenly, so that the order is preserved in
/// grayscale print.
fn shade(share: f64) -> RGBColor {
    const LIGHT: [f64; 3] = [240.0, 246.0, 251.0];
    const DARK: [f64; 3] = [8.0, 64.0, 120.0];
    let channel = |c: usize| (LIGHT[c] + share * (DARK[c] - LIGHT[c])).round() as u8;
    RGBColor(channel(0), channel(1), channel(2))
}

/// Digits after the point that show a hundredth of a range.
fn digits(range: f64) -> usize {
    if range == 0.0 {
        return 2;
    }
    (2 - range.log10().floor() as i32).clamp(0, 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_range() {
        assert_eq!([4.0, 0.03, 700.0, 0.0].map(digits), [2, 4, 0, 2]);
    }

    #[test]
    fn grey_print_keeps_the_order() {
        let luminance = |share| {
            let RGBColor(r, g, b) = shade(share);
            0.3 * f64::from(r) + 0.59 * f64::from(g) + 0.11 * f64::from(b)
        };
        let shades: Vec<f64> = (0..=10).map(|i| luminance(f64::from(i) / 10.0)).collect();
        assert!(shades.is_sorted_by(|a, b| a > b), "{shades:?}");
    }
}
