use plotters::prelude::*;

use super::canvas::{Area, Drawn, color, tenths};

/// Corners of the polygon that approximates a circle.
const CIRCLE: usize = 24;

/// Draws the marker of a series: one of eight shapes, so that series can be told apart without
/// color. `radius` is in tenths of a figure unit.
pub(super) fn draw_marker(root: &Area<'_>, at: (i32, i32), series: usize, radius: u32) -> Drawn {
    let radius = f64::from(tenths(radius));
    let points: Vec<(i32, i32)> = outline(series)
        .into_iter()
        .map(|(x, y)| {
            let shifted = |at: i32, by: f64| at + (radius * by).round() as i32;
            (shifted(at.0, x), shifted(at.1, y))
        })
        .collect();
    let open = series % 8 >= 6;
    let fill = if open { WHITE } else { color(series) };
    root.draw(&Polygon::new(points.clone(), fill.filled()))?;
    if open {
        let closed = points.iter().chain(&points[..2]).copied();
        let style = color(series).stroke_width(tenths(18));
        root.draw(&PathElement::new(closed.collect::<Vec<_>>(), style))?;
    }
    Ok(())
}

/// Corners of a series' marker. All markers have about the same area; y points down.
fn outline(series: usize) -> Vec<(f64, f64)> {
    const SQUARE: [(f64, f64); 4] = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)];
    let triangle = |up: f64| vec![(0.0, -1.25 * up), (1.15, 0.8 * up), (-1.15, 0.8 * up)];
    let circle = || {
        let angle = |i| std::f64::consts::TAU * i as f64 / CIRCLE as f64;
        let corners = (0..CIRCLE).map(|i| (angle(i).cos(), angle(i).sin()));
        corners.collect::<Vec<_>>()
    };
    match series % 8 {
        0 | 6 => circle(),
        1 | 7 => SQUARE.to_vec(),
        2 => triangle(1.0),
        3 => vec![(0.0, -1.35), (1.15, 0.0), (0.0, 1.35), (-1.15, 0.0)],
        4 => triangle(-1.0),
        _ => {
            // A plus: each corner of the square turned inwards.
            let (arm, width) = (1.3, 0.45);
            vec![
                (-width, -arm),
                (width, -arm),
                (width, -width),
                (arm, -width),
                (arm, width),
                (width, width),
                (width, arm),
                (-width, arm),
                (-width, width),
                (-arm, width),
                (-arm, -width),
                (-width, -width),
            ]
        }
    }
}
