use std::borrow::Cow;

use plotters::prelude::*;

use super::canvas::{
    Area, Drawn, INK, MARGIN, TEXT_SIZE, WIDTH, color, px, tenths, text, text_width,
};
use super::marker::draw_marker;

/// Height of one row of names.
const ROW: i32 = 24;
/// Space between the mark before a name and the name.
const GAP: i32 = 8;
/// Space between two names.
const BETWEEN: i32 = 26;

/// The mark before a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A piece of the line.
    Line,
    /// A piece of the line with its marker.
    MarkedLine,
    /// The marker.
    Dot,
}

impl Mark {
    fn width(self) -> i32 {
        match self {
            Self::Line | Self::MarkedLine => 34,
            Self::Dot => 12,
        }
    }
}

/// Names of the series in rows above the plot, so that they never cover data.
pub(super) struct Legend<'a> {
    names: Vec<Cow<'a, str>>,
    mark: Mark,
    /// Left edge and row of each name.
    places: Vec<(i32, i32)>,
}

impl<'a> Legend<'a> {
    pub fn new(names: &[&'a str], mark: Mark) -> Self {
        let room = WIDTH - 2 * MARGIN - mark.width() - GAP;
        let names: Vec<_> = names.iter().map(|name| shortened(name, room)).collect();
        let (mut x, mut row) = (MARGIN, 0);
        let places = names.iter().map(|name| {
            let width = mark.width() + GAP + text_width(name, TEXT_SIZE);
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, row) = (MARGIN, row + 1);
            }
            let place = (x, row);
            x += width + BETWEEN;
            place
        });
        Self {
            places: places.collect(),
            names,
            mark,
        }
    }

    /// Height in figure units.
    pub fn height(&self) -> i32 {
        self.places.last().map_or(0, |&(_, row)| (row + 1) * ROW)
    }

    /// Draws the rows from `top` on. Series i has color and marker i.
    pub fn draw(&self, root: &Area<'_>, top: i32) -> Drawn {
        for (series, (name, &(x, row))) in self.names.iter().zip(&self.places).enumerate() {
            let y = px(top + row * ROW + ROW / 2);
            let middle = (px(x + self.mark.width() / 2), y);
            if self.mark != Mark::Dot {
                let ends = vec![(px(x), y), (px(x + self.mark.width()), y)];
                let style = color(series).stroke_width(tenths(30));
                root.draw(&PathElement::new(ends, style))?;
            }
            if self.mark != Mark::Line {
                draw_marker(root, middle, series, 52)?;
            }
            root.draw_text(
                name,
                &text(TEXT_SIZE, INK),
                (px(x + self.mark.width() + GAP), y),
            )?;
        }
        Ok(())
    }
}

/// A name cut off to a width in figure units, with an ellipsis.
fn shortened(name: &str, width: i32) -> Cow<'_, str> {
    if text_width(name, TEXT_SIZE) <= width {
        return name.into();
    }
    let characters = (width * 100 / 56 / TEXT_SIZE) as usize;
    let kept: String = name.chars().take(characters.saturating_sub(1)).collect();
    format!("{kept}\u{2026}").into()
}
