use plotters::prelude::*;

use super::canvas::{Area, Drawn, INK, MARGIN, TEXT_SIZE, WIDTH, colour, px, tenths, text};

/// Height of one row of names.
const ROW: i32 = 24;
/// Space between the mark before a name and the name.
const GAP: i32 = 8;
/// Space between two names.
const BETWEEN: i32 = 26;

/// The mark before a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Line,
    Dot,
}

impl Mark {
    fn width(self) -> i32 {
        match self {
            Self::Line => 26,
            Self::Dot => 12,
        }
    }
}

/// Names of the series in rows above the plot, so that they never cover data.
pub(super) struct Legend<'a> {
    names: &'a [&'a str],
    mark: Mark,
    /// Left edge and row of each name.
    places: Vec<(i32, i32)>,
}

impl<'a> Legend<'a> {
    pub fn new(names: &'a [&'a str], mark: Mark) -> Self {
        let (mut x, mut row) = (MARGIN, 0);
        let places = names.iter().map(|name| {
            let width = mark.width() + GAP + text_width(name);
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

    /// Draws the rows from `top` on; series i has colour i.
    pub fn draw(&self, root: &Area<'_>, top: i32) -> Drawn {
        for (series, (name, &(x, row))) in self.names.iter().zip(&self.places).enumerate() {
            let y = px(top + row * ROW + ROW / 2);
            let style = colour(series).stroke_width(tenths(30));
            match self.mark {
                Mark::Line => root.draw(&PathElement::new(
                    vec![(px(x), y), (px(x + self.mark.width()), y)],
                    style,
                ))?,
                Mark::Dot => root.draw(&Circle::new(
                    (px(x + self.mark.width() / 2), y),
                    tenths(60),
                    colour(series).filled(),
                ))?,
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

/// Width of a text, estimated: the font is the reader's.
fn text_width(text: &str) -> i32 {
    text.chars().count() as i32 * TEXT_SIZE * 56 / 100
}
