use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, drawable};
use super::canvas::{
    AXIS, Area, Drawn, GRID, INK, MARGIN, MUTED, TEXT_SIZE, TITLE_HEIGHT, color, figure, no_data,
    px, tenths, text, text_width,
};
use crate::diagnostics::NeighborDistances;

/// Height of a panel with its tick labels.
const PANEL: i32 = 190;
const LEGEND: i32 = 30;
const X_LABEL: i32 = 34;
const BINS: usize = 60;

/// Histograms of the distances to the nearest and to the k-th nearest neighbor (Figure 3). One
/// panel per model, one below the other, on the same axes.
///
/// Nearest distances are filled and k-th distances outlined, so that both can be read in black and
/// white. Each panel states the overlap of the two.
pub fn distance_histograms(title: &str, models: &[(String, NeighborDistances)]) -> String {
    let both = |distances: &NeighborDistances| {
        let values = distances.nearest.iter().chain(&distances.kth);
        values.copied().collect::<Vec<_>>()
    };
    let all = models.iter().flat_map(|(_, distances)| both(distances));
    let Some((low, high)) = Axis::extent(all) else {
        return no_data(title, 300);
    };
    let x_axis = Axis::with_room(low, high, 0.02, 8);
    let shares = |values: &[f64]| histogram(values, &x_axis);
    let panels: Vec<_> = models
        .iter()
        .map(|(name, distances)| Panel {
            label: format!("{name}: overlap {:.3}", distances.overlap()),
            near: shares(&distances.nearest),
            far: shares(&distances.kth),
        })
        .collect();
    let highest = panels
        .iter()
        .flat_map(|panel| panel.near.iter().chain(&panel.far));
    let y_axis = Axis::new(0.0, 1.12 * highest.copied().fold(0.0, f64::max), 4);
    let k = models[0].1.k;

    let height = TITLE_HEIGHT + LEGEND + PANEL * models.len() as i32 + X_LABEL;
    figure(title, height, |root| {
        draw_legend(root, &format!("neighbor {k}"))?;
        let top = TITLE_HEIGHT + LEGEND;
        let plot = root.margin(px(top), px(X_LABEL), px(10), px(MARGIN + 4));
        for (area, panel) in plot.split_evenly((panels.len(), 1)).iter().zip(&panels) {
            draw_panel(area, panel, &x_axis, &y_axis)?;
        }
        let label = "distance to the neighbor";
        let x = (super::canvas::WIDTH + 72 - text_width(label, TEXT_SIZE)) / 2;
        root.draw_text(label, &text(TEXT_SIZE, INK), (px(x), px(height - 18)))
    })
}

struct Panel {
    label: String,
    /// Shares of the images per bin.
    near: Vec<f64>,
    far: Vec<f64>,
}

/// The share of the values in each of the bins between the ends of the axis.
fn histogram(values: &[f64], axis: &Axis) -> Vec<f64> {
    let mut shares = vec![0.0; BINS];
    for value in values.iter().filter(|&&value| drawable(value)) {
        let at = (value - axis.min) / (axis.max - axis.min) * BINS as f64;
        shares[(at as usize).min(BINS - 1)] += 1.0 / values.len() as f64;
    }
    shares
}

fn draw_legend(root: &Area<'_>, kth: &str) -> Drawn {
    let y = TITLE_HEIGHT + LEGEND / 2 - 4;
    let mut x = MARGIN;
    for (series, name) in ["nearest neighbor", kth].into_iter().enumerate() {
        let [left, right, top, bottom] = [x, x + 26, y - 7, y + 7].map(px);
        if series == 0 {
            let style = color(0).mix(0.5).filled();
            root.draw(&Rectangle::new([(left, top), (right, bottom)], style))?;
        } else {
            let outline = [(left, bottom), (left, top), (right, top), (right, bottom)];
            root.draw(&PathElement::new(
                outline.to_vec(),
                INK.stroke_width(tenths(20)),
            ))?;
        }
        root.draw_text(name, &text(TEXT_SIZE, INK), (px(x + 34), px(y)))?;
        x += 34 + text_width(name, TEXT_SIZE) + 30;
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel, x_axis: &Axis, y_axis: &Axis) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .set_label_area_size(LabelAreaPosition::Left, px(72))
        .set_label_area_size(LabelAreaPosition::Bottom, px(30))
        .margin_top(px(6))
        .build_cartesian_2d(x_axis.clone(), y_axis.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(tenths(10)))
        .axis_style(AXIS.stroke_width(tenths(10)))
        .set_all_tick_mark_size(px(5))
        .label_style(text(TEXT_SIZE - 1, MUTED))
        .axis_desc_style(text(TEXT_SIZE - 1, INK))
        .y_desc("share of images")
        .draw()?;
    let edge = |bin: usize| x_axis.min + (x_axis.max - x_axis.min) * bin as f64 / BINS as f64;
    let plot = chart.plotting_area();
    for (bin, &share) in panel
        .near
        .iter()
        .enumerate()
        .filter(|(_, share)| **share > 0.0)
    {
        let corners = [(edge(bin), 0.0), (edge(bin + 1), share)];
        plot.draw(&Rectangle::new(corners, color(0).mix(0.5).filled()))?;
    }
    let mut steps = vec![(edge(0), 0.0)];
    for (bin, &share) in panel.far.iter().enumerate() {
        steps.extend([(edge(bin), share), (edge(bin + 1), share)]);
    }
    steps.push((edge(BINS), 0.0));
    plot.draw(&PathElement::new(steps, INK.stroke_width(tenths(20))))?;
    // On the right, where the bars are low: nearest neighbors are on the left.
    let at = (x_axis.max, y_axis.max);
    let right = text(TEXT_SIZE, INK).pos(Pos::new(HPos::Right, VPos::Center));
    let label = Text::new(panel.label.clone(), (px(-10), px(10)), right);
    plot.draw(&(EmptyElement::at(at) + label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_ends_are_inside() {
        let axis = Axis::new(0.0, 6.0, 3);
        let shares = histogram(&[0.0, 0.05, 3.0, 6.0], &axis);
        assert_eq!((shares[0], shares[30], shares[BINS - 1]), (0.5, 0.25, 0.25));
        assert_eq!(shares.iter().sum::<f64>(), 1.0);
    }
}
