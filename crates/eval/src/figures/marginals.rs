use burn::tensor::Tensor;
use plotters::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::index};

use super::axis::drawable;
use super::canvas::{
    AXIS, Area, Drawn, INK, MARGIN, MUTED, TEXT_SIZE, TITLE_HEIGHT, WIDTH, centered, figure,
    no_data, px, tenths, text,
};
use crate::diagnostics::draw_pairs;

/// Left edge of the first panel, after the names of the rows.
const LEFT: i32 = 56;
/// Space between two panels.
const BETWEEN: i32 = 18;
/// Space below a row for its tick labels, and below the last row for the names of the dimensions.
const BELOW: i32 = 26;
/// The largest width of a panel.
const WIDEST: i32 = 260;

/// Settings of [`marginals`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MarginalsConfig {
    /// Largest number of pairs of dimensions, one column each.
    pub pairs: usize,
    /// Images drawn per panel, at most.
    pub points: usize,
    /// Seed of the choice of pairs and of images.
    pub seed: u64,
}

impl Default for MarginalsConfig {
    /// 4 pairs, 800 images.
    fn default() -> Self {
        Self {
            pairs: 4,
            points: 800,
            seed: 0,
        }
    }
}

/// Two-dimensional marginals of compact embeddings before and after (Figures 2 and D.1).
///
/// One column per random pair of dimensions: `before` on top, `after` of the same images below. An
/// image has the same color in both. The color is given by the ranks of its two coordinates
/// *before*, so that it varies across the whole panel even if the embeddings crowd into a corner.
///
/// # Shapes
///
/// - before: `[n, d]`, values in [0, 1]
/// - after: `[n, d]`, values in [0, 1], same images in the same order
///
/// Fewer than two dimensions have no pairs: the figure then says "no data".
///
/// # Panics
///
/// If the shapes differ.
pub fn marginals(
    title: &str,
    before: Tensor<2>,
    after: Tensor<2>,
    config: &MarginalsConfig,
) -> String {
    let [n, d] = before.dims();
    assert_eq!(
        [n, d],
        after.dims(),
        "embeddings before {:?} and after {:?} must have the same shape",
        [n, d],
        after.dims()
    );
    let values = |x: Tensor<2>| x.into_data().iter::<f32>().collect::<Vec<_>>();
    let rows = [values(before), values(after)];

    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let pairs = draw_pairs(d, config.pairs, &mut rng);
    let images = index::sample(&mut rng, n, config.points.min(n)).into_vec();
    if pairs.is_empty() || images.is_empty() {
        return no_data(title, 300);
    }

    let columns = pairs.len() as i32;
    let room = WIDTH - LEFT - MARGIN - (columns - 1) * BETWEEN;
    let side = (room / columns).clamp(1, WIDEST);
    let height = TITLE_HEIGHT + 2 * (side + BELOW) + 34;
    figure(title, height, |root| {
        for (row, (name, values)) in ["before", "after"].iter().zip(&rows).enumerate() {
            let top = TITLE_HEIGHT + 6 + row as i32 * (side + BELOW);
            let label = text(TEXT_SIZE, INK).transform(FontTransform::Rotate270);
            let at = (px(MARGIN), px(top + side / 2));
            root.draw_text(name, &centered(label), at)?;
            for (column, &pair) in pairs.iter().enumerate() {
                let left = LEFT + column as i32 * (side + BETWEEN);
                let colors = colors(&rows[0], d, pair, &images);
                let points = images.iter().zip(colors).map(|(&image, color)| {
                    let at = |dim| f64::from(values[image * d + dim]);
                    ((at(pair.0), at(pair.1)), color)
                });
                let frame = root
                    .clone()
                    .shrink((px(left), px(top)), (px(side), px(side)));
                draw_panel(&frame, points)?;
                draw_numbers(root, left, top, side, column == 0)?;
            }
        }
        let bottom = TITLE_HEIGHT + 6 + 2 * (side + BELOW) + 8;
        for (column, (i, j)) in pairs.iter().enumerate() {
            let middle = LEFT + column as i32 * (side + BETWEEN) + side / 2;
            root.draw_text(
                &format!("dimensions {i}, {j}"),
                &centered(text(TEXT_SIZE, INK)),
                (px(middle), px(bottom)),
            )?;
        }
        Ok(())
    })
}

/// A color for each image, from the ranks of its coordinates.
fn colors(values: &[f32], d: usize, pair: (usize, usize), images: &[usize]) -> Vec<RGBColor> {
    let ranks = |dim: usize| {
        let mut order: Vec<usize> = (0..images.len()).collect();
        order.sort_by(|&a, &b| {
            let value = |i: usize| values[images[i] * d + dim];
            value(a).total_cmp(&value(b))
        });
        let mut ranks = vec![0.0; images.len()];
        for (rank, i) in order.into_iter().enumerate() {
            ranks[i] = rank as f64 / images.len() as f64;
        }
        ranks
    };
    let (x, y) = (ranks(pair.0), ranks(pair.1));
    x.into_iter().zip(y).map(|(x, y)| blend(x, y)).collect()
}

/// Blends the colors of the four corners (0, 0), (1, 0), (0, 1), (1, 1).
fn blend(x: f64, y: f64) -> RGBColor {
    const CORNERS: [[f64; 3]; 4] = [
        [0.0, 80.0, 180.0],
        [213.0, 60.0, 0.0],
        [0.0, 165.0, 120.0],
        [245.0, 190.0, 20.0],
    ];
    let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
    let channel = |c: usize| -> u8 {
        let sum: f64 = CORNERS.iter().zip(weights).map(|(rgb, w)| rgb[c] * w).sum();
        sum.round() as u8
    };
    RGBColor(channel(0), channel(1), channel(2))
}

fn draw_panel(frame: &Area<'_>, points: impl Iterator<Item = ((f64, f64), RGBColor)>) -> Drawn {
    let mut chart = ChartBuilder::on(frame).build_cartesian_2d(-0.02..1.02, -0.02..1.02)?;
    let corners = [(-0.02, -0.02), (1.02, 1.02)];
    let border = AXIS.stroke_width(tenths(10));
    chart
        .plotting_area()
        .draw(&Rectangle::new(corners, border))?;
    let points = points.filter(|((x, y), _)| drawable(*x) && drawable(*y));
    chart.draw_series(points.map(|(at, color)| Circle::new(at, tenths(17), color.filled())))?;
    Ok(())
}

/// Writes 0 and 1 at the corners: below every panel, and left of the first.
fn draw_numbers(root: &Area<'_>, left: i32, top: i32, side: i32, first: bool) -> Drawn {
    let style = centered(text(TEXT_SIZE - 2, MUTED));
    let (low, high) = (side * 2 / 104, side * 102 / 104);
    for (number, at) in [("0", low), ("1", high)] {
        root.draw_text(number, &style, (px(left + at), px(top + side + 11)))?;
        if first {
            root.draw_text(number, &style, (px(left - 9), px(top + side - at)))?;
        }
    }
    Ok(())
}
