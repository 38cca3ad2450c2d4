use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width of every figure, in the units of its view box (CSS pixels at full size).
pub(super) const WIDTH: i32 = 900;

/// Plotters places everything on whole units. So the canvas is larger, and the view box scales it
/// back, to keep curves smooth.
const SCALE: i32 = 4;

pub(super) const INK: RGBColor = RGBColor(34, 40, 49);
pub(super) const MUTED: RGBColor = RGBColor(90, 99, 110);
pub(super) const AXIS: RGBColor = RGBColor(150, 157, 166);
pub(super) const GRID: RGBColor = RGBColor(229, 232, 236);

/// Height of the line that holds the title.
pub(super) const TITLE_HEIGHT: i32 = 48;

/// Free space at the left and right edge.
pub(super) const MARGIN: i32 = 20;

/// Sizes of text.
pub(super) const TITLE_SIZE: i32 = 19;
pub(super) const TEXT_SIZE: i32 = 14;

/// A rectangle of the figure, in canvas units.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The result of drawing. Drawing into a string does not fail.
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Canvas units of a length in figure units.
pub(super) fn px(length: i32) -> i32 {
    length * SCALE
}

/// A line width or radius in canvas units, from tenths of a figure unit.
pub(super) fn tenths(length: u32) -> u32 {
    length * SCALE as u32 / 10
}

/// A color per series, repeated after eight.
pub(super) fn color(series: usize) -> RGBColor {
    const OKABE_ITO: [RGBColor; 8] = [
        RGBColor(0, 114, 178),
        RGBColor(213, 94, 0),
        RGBColor(0, 158, 115),
        RGBColor(204, 121, 167),
        RGBColor(230, 159, 0),
        RGBColor(86, 180, 233),
        RGBColor(0, 0, 0),
        RGBColor(148, 142, 30),
    ];
    OKABE_ITO[series % OKABE_ITO.len()]
}

/// Text of a size in figure units, anchored at the middle of its left edge.
pub(super) fn text(size: i32, color: RGBColor) -> TextStyle<'static> {
    // The SVG backend divides font sizes by 1.24.
    let size = f64::from(px(size)) * 1.24;
    TextStyle {
        font: ("Helvetica, Arial, sans-serif", size).into_font(),
        color: color.to_backend_color(),
        pos: Pos::new(HPos::Left, VPos::Center),
    }
}

/// Estimated width of a text in figure units. The actual font depends on the reader.
pub(super) fn text_width(text: &str, size: i32) -> i32 {
    text.chars().count() as i32 * size * 56 / 100
}

/// The same text, anchored at its center.
pub(super) fn centered(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Center, VPos::Center))
}

/// Draws a figure: white ground, the title, then whatever `draw` adds.
pub(super) fn figure(title: &str, height: i32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let size = (px(WIDTH) as u32, px(height) as u32);
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = root
        .fill(&WHITE)
        .and_then(|()| {
            let mut style = text(TITLE_SIZE, INK);
            style.font = style.font.style(FontStyle::Bold);
            root.draw_text(title, &style, (px(MARGIN), px(TITLE_HEIGHT / 2 + 2)))
        })
        .and_then(|()| draw(&root))
        .and_then(|()| root.present());
    drawn.expect("drawing into a string does not fail");
    drop(root);
    embeddable(&svg, title, height)
}

/// A figure that says "no data".
pub(super) fn no_data(title: &str, height: i32) -> String {
    figure(title, height, |root| {
        root.draw_text(
            "no data",
            &centered(text(TITLE_SIZE, MUTED)),
            (px(WIDTH / 2), px(height / 2)),
        )
    })
}

/// Sets the size in figure units and the name of the root element. Removes attributes with SVG's
/// default values (a scatter plot has thousands of them).
fn embeddable(svg: &str, title: &str, height: i32) -> String {
    let (w, h) = (px(WIDTH), px(height));
    let body = svg.find(">\n").map_or("", |end| &svg[end + 2..]);
    let body = body
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\" stroke-width=\"1\"", "")
        .replace(" stroke=\"none\"", "");
    let title = title
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{WIDTH}\" \
         height=\"{height}\" style=\"max-width:100%;height:auto\" role=\"img\" \
         aria-label=\"{title}\">\n{body}"
    )
}
