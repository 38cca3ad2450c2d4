use plotters::prelude::*;

use super::axis::{Axis, drawable};
use super::canvas::{
    AXIS, Area, Drawn, GRID, INK, MARGIN, MUTED, TEXT_SIZE, TITLE_HEIGHT, WIDTH, centered, color,
    figure, no_data, px, tenths, text,
};
use super::legend::{Legend, Mark};
use super::marker::draw_marker;
use crate::statistics::Summary;

const HEIGHT: i32 = 400;

/// Models compared under one condition: one panel of an [`accuracy_chart`].
#[derive(Debug, Clone, PartialEq)]
pub struct AccuracyGroup {
    /// The condition, such as "1% of the labels".
    pub label: String,
    /// The models, in the order drawn.
    pub entries: Vec<AccuracyEntry>,
}

/// One model's accuracy under one condition.
#[derive(Debug, Clone, PartialEq)]
pub struct AccuracyEntry {
    /// Name in the legend. The same name has the same color and marker in every panel.
    pub name: String,
    /// Mean (the marker) and standard deviation (the bar), in the unit of the y axis.
    pub accuracy: Summary,
}

impl AccuracyGroup {
    /// An empty panel.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            entries: Vec::new(),
        }
    }

    /// Adds a model.
    pub fn with(mut self, name: impl Into<String>, accuracy: Summary) -> Self {
        self.entries.push(AccuracyEntry {
            name: name.into(),
            accuracy,
        });
        self
    }
}

/// Accuracies of several models under several conditions. One panel per condition, and one marker
/// per model with an error bar of one standard deviation.
///
/// All panels span the same number of accuracy points, each around its own values. So differences
/// can be compared across panels even if the levels differ.
pub fn accuracy_chart(title: &str, y_label: &str, groups: &[AccuracyGroup]) -> String {
    let groups: Vec<&AccuracyGroup> = groups
        .iter()
        .filter(|group| extent(group).is_some())
        .collect();
    if groups.is_empty() {
        return no_data(title, HEIGHT);
    }
    let mut names: Vec<&str> = Vec::new();
    for entry in groups.iter().flat_map(|group| &group.entries) {
        if !names.contains(&entry.name.as_str()) {
            names.push(&entry.name);
        }
    }
    let span = groups
        .iter()
        .filter_map(|group| extent(group))
        .map(|(low, high)| high - low)
        .fold(0.0, f64::max);

    let legend = Legend::new(&names, Mark::Dot);
    let top = TITLE_HEIGHT + legend.height();
    figure(title, HEIGHT + legend.height(), |root| {
        legend.draw(root, TITLE_HEIGHT - 4)?;
        let label = text(TEXT_SIZE, INK).transform(FontTransform::Rotate270);
        let middle = top + (HEIGHT - TITLE_HEIGHT - 40) / 2;
        root.draw_text(y_label, &centered(label), (px(MARGIN), px(middle)))?;
        let plot = root.margin(px(top + 8), px(10), px(MARGIN + 10), px(MARGIN));
        for (panel, group) in plot.split_evenly((1, groups.len())).iter().zip(&groups) {
            let width = (WIDTH - 2 * MARGIN - 10) / groups.len() as i32;
            draw_panel(root, panel, group, span, &names, width)?;
        }
        Ok(())
    })
}

/// Lowest and highest end of the error bars.
fn extent(group: &AccuracyGroup) -> Option<(f64, f64)> {
    Axis::extent(group.entries.iter().filter(shown).flat_map(|entry| {
        let spread = bar(entry);
        [entry.accuracy.mean - spread, entry.accuracy.mean + spread]
    }))
}

fn shown(entry: &&AccuracyEntry) -> bool {
    drawable(entry.accuracy.mean)
}

/// Half the length of the error bar; 0 without one.
fn bar(entry: &AccuracyEntry) -> f64 {
    entry
        .accuracy
        .std
        .filter(|&std| drawable(std))
        .unwrap_or(0.0)
}

/// Draws one panel, `width` figure units wide.
fn draw_panel(
    root: &Area<'_>,
    panel: &Area<'_>,
    group: &AccuracyGroup,
    span: f64,
    names: &[&str],
    width: i32,
) -> Drawn {
    let Some((low, high)) = extent(group) else {
        return Ok(());
    };
    let middle = 0.5 * (low + high);
    let y_axis = Axis::with_room(middle - 0.5 * span, middle + 0.5 * span, 0.12, 5);
    let entries: Vec<_> = group.entries.iter().filter(shown).collect();
    let columns = entries.len() as f64;

    let mut chart = ChartBuilder::on(panel)
        .set_label_area_size(LabelAreaPosition::Left, px(50))
        .set_label_area_size(LabelAreaPosition::Bottom, px(34))
        .margin_right(px(6))
        .build_cartesian_2d(-0.5..columns - 0.25, y_axis)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .bold_line_style(GRID.stroke_width(tenths(10)))
        .axis_style(AXIS.stroke_width(tenths(10)))
        .set_all_tick_mark_size(px(5))
        .label_style(text(TEXT_SIZE - 1, MUTED))
        .axis_desc_style(text(TEXT_SIZE, INK))
        .x_desc(group.label.as_str())
        .draw()?;

    let plot = chart.plotting_area();
    // Values are written beside the markers if the columns are wide enough.
    let room_for_values = width - 60 > 58 * entries.len() as i32;
    for (column, entry) in entries.into_iter().enumerate() {
        let series = names.iter().position(|&name| name == entry.name);
        let series = series.unwrap_or(0);
        let color = color(series);
        let (x, y) = (column as f64, entry.accuracy.mean);
        let spread = bar(entry);
        if spread > 0.0 {
            let style = color.stroke_width(tenths(18));
            let ends = [y - spread, y + spread];
            plot.draw(&PathElement::new(vec![(x, ends[0]), (x, ends[1])], style))?;
            for end in ends {
                let cap = vec![(-px(6), 0), (px(6), 0)];
                plot.draw(&(EmptyElement::at((x, end)) + PathElement::new(cap, style)))?;
            }
        }
        draw_marker(root, plot.map_coordinate(&(x, y)), series, 55)?;
        if room_for_values {
            let value = Text::new(format!("{y:.2}"), (px(11), 0), text(TEXT_SIZE - 1, INK));
            plot.draw(&(EmptyElement::at((x, y)) + value))?;
        }
    }
    Ok(())
}
