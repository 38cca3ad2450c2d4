use plotters::prelude::*;

use super::axis::{Axis, drawable};
use super::canvas::{
    AXIS, Drawn, GRID, INK, MARGIN, MUTED, TEXT_SIZE, TITLE_HEIGHT, color, figure, no_data, px,
    tenths, text,
};
use super::legend::{Legend, Mark};
use super::marker::draw_marker;
use crate::statistics::Summary;

const HEIGHT: i32 = 440;

/// Beyond this number, neighboring points of a curve are merged. The figure has fewer columns.
const MAX_POINTS: usize = 1500;

/// Markers on a curve. With few points, each point has a marker.
const MARKERS: usize = 12;

/// One curve of a [`line_chart`].
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points (x, y) in the order of x.
    pub points: Vec<(f64, f64)>,
    /// Number of neighboring points to average; 1 for no smoothing.
    pub smoothing: usize,
    /// Points (x, low, high) of a band around the curve; empty without one.
    pub band: Vec<(f64, f64, f64)>,
}

impl Series {
    /// A curve through points in the order of x. A point that is not finite leaves a gap.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points: points.into_iter().collect(),
            smoothing: 1,
            band: Vec::new(),
        }
    }

    /// The means over trials at each x, with a band of one standard deviation on either side, as in
    /// Figure 4. A single trial has no band.
    pub fn of_trials(
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, Summary)>,
    ) -> Self {
        let points: Vec<_> = points.into_iter().collect();
        let mut series = Self::new(name, points.iter().map(|&(x, trials)| (x, trials.mean)));
        series.band = points
            .iter()
            .filter_map(|&(x, trials)| {
                let std = trials.std?;
                let band = (x, trials.mean - std, trials.mean + std);
                (drawable(x) && drawable(band.1) && drawable(band.2)).then_some(band)
            })
            .collect();
        series
    }

    /// Draws the mean over a window of `points` neighboring points, with the curve itself faintly
    /// behind it. For noisy curves, such as values of single steps.
    pub fn with_smoothing(mut self, points: usize) -> Self {
        self.smoothing = points;
        self
    }

    /// The runs of drawable points between the gaps.
    fn segments(&self) -> Vec<Vec<(f64, f64)>> {
        self.points
            .split(|&(x, y)| !(drawable(x) && drawable(y)))
            .filter(|segment| !segment.is_empty())
            .map(<[_]>::to_vec)
            .collect()
    }
}

/// Curves over a common x axis, with a legend above the plot.
///
/// Curves also differ in their markers, so that they can be told apart without color.
pub fn line_chart(title: &str, x_label: &str, y_label: &str, series: &[Series]) -> String {
    let segments: Vec<_> = series.iter().map(Series::segments).collect();
    let ends = |&(x, low, high): &(f64, f64, f64)| [(x, low), (x, high)];
    let bands = || {
        series
            .iter()
            .flat_map(|series| series.band.iter().flat_map(ends))
    };
    let points = || segments.iter().flatten().flatten().copied().chain(bands());
    let (Some((x_min, x_max)), Some((y_min, y_max))) = (
        Axis::extent(points().map(|p| p.0)),
        Axis::extent(points().map(|p| p.1)),
    ) else {
        return no_data(title, HEIGHT);
    };
    let x_axis = Axis::new(x_min, x_max, 8);
    let y_axis = Axis::with_room(y_min, y_max, 0.05, 8);

    let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    let several = series.len() > 1;
    let mark = if several {
        Mark::MarkedLine
    } else {
        Mark::Line
    };
    let legend = Legend::new(&names, mark);
    let top = TITLE_HEIGHT + legend.height();
    figure(title, HEIGHT + legend.height(), |root| {
        legend.draw(root, TITLE_HEIGHT - 4)?;
        let plot = root.margin(px(top + 8), px(10), px(10), px(MARGIN + 4));
        let mut chart = ChartBuilder::on(&plot)
            .set_label_area_size(LabelAreaPosition::Left, px(72))
            .set_label_area_size(LabelAreaPosition::Bottom, px(50))
            .build_cartesian_2d(x_axis, y_axis)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID.stroke_width(tenths(10)))
            .axis_style(AXIS.stroke_width(tenths(10)))
            .set_all_tick_mark_size(px(5))
            .label_style(text(TEXT_SIZE - 1, MUTED))
            .axis_desc_style(text(TEXT_SIZE, INK))
            .x_desc(x_label)
            .y_desc(y_label)
            .draw()?;

        for (i, band) in series.iter().map(|series| &series.band).enumerate() {
            if band.len() > 1 {
                let low = band.iter().map(|&(x, low, _)| (x, low));
                let high = band.iter().rev().map(|&(x, _, high)| (x, high));
                let outline: Vec<_> = low.chain(high).collect();
                let plot = chart.plotting_area();
                plot.draw(&Polygon::new(outline.clone(), color(i).mix(0.16).filled()))?;
                // Edges, so that overlapping bands can be told apart without color.
                for edge in [&outline[..band.len()], &outline[band.len()..]] {
                    let style = color(i).mix(0.5).stroke_width(tenths(8));
                    plot.draw(&PathElement::new(edge.to_vec(), style))?;
                }
            }
        }
        let mut stroke = |points: &[(f64, f64)], style: ShapeStyle| -> Drawn {
            match points {
                &[point] => chart.plotting_area().draw(&Circle::new(
                    point,
                    tenths(35),
                    style.color.filled(),
                )),
                _ => chart
                    .draw_series(LineSeries::new(thinned(points), style))
                    .map(|_| ()),
            }
        };
        // Faint curves first, so that they never hide another run's mean.
        for (i, (series, segments)) in series.iter().zip(&segments).enumerate() {
            for segment in segments.iter().filter(|_| series.smoothing > 1) {
                stroke(segment, color(i).mix(0.22).stroke_width(tenths(10)))?;
            }
        }
        let curves: Vec<Vec<_>> = series
            .iter()
            .zip(&segments)
            .map(|(series, segments)| {
                let smooth = |segment: &Vec<_>| smoothed(segment, series.smoothing);
                segments.iter().map(smooth).collect()
            })
            .collect();
        for (i, curve) in curves.iter().enumerate() {
            for segment in curve {
                stroke(segment, color(i).stroke_width(tenths(22)))?;
            }
        }
        let plot = chart.plotting_area();
        for (i, curve) in curves.iter().enumerate().filter(|_| several) {
            let offset = (i as f64 + 0.5) / curves.len() as f64;
            for point in marked(&curve.concat(), (x_min, x_max), offset) {
                draw_marker(root, plot.map_coordinate(&point), i, 42)?;
            }
        }
        Ok(())
    })
}

/// The points of a curve that get a marker. With few points, all of them. Else the points nearest
/// to equal steps on the x axis, shifted by `offset` of a step so that markers of different curves
/// do not coincide.
fn marked(points: &[(f64, f64)], (min, max): (f64, f64), offset: f64) -> Vec<(f64, f64)> {
    if points.len() <= MARKERS {
        return points.to_vec();
    }
    let step = (max - min) / MARKERS as f64;
    let mut marked: Vec<(f64, f64)> = (0..MARKERS)
        .map(|i| min + (i as f64 + offset) * step)
        .filter_map(|x| {
            let next = points.partition_point(|point| point.0 < x);
            points.get(next).copied().filter(|point| point.0 - x < step)
        })
        .collect();
    marked.dedup();
    marked
}

/// Centered moving average over y. The window is cut off at the ends.
fn smoothed(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let half = window.saturating_sub(1) / 2;
    let mean = |i: usize| {
        let window = &points[i.saturating_sub(half)..points.len().min(i + half + 1)];
        window.iter().map(|p| p.1 / window.len() as f64).sum()
    };
    (0..points.len()).map(|i| (points[i].0, mean(i))).collect()
}

/// Keeps the lowest and the highest point of each group of neighbors: as many as can be told apart.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let group = points.len().div_ceil(MAX_POINTS / 2);
    let mut kept = Vec::with_capacity(MAX_POINTS + 2);
    for group in points.chunks(group) {
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) = (group.iter().min_by(by_y), group.iter().max_by(by_y)) else {
            continue;
        };
        kept.extend(if low.0 <= high.0 {
            [*low, *high]
        } else {
            [*high, *low]
        });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_straight_line() {
        let line: Vec<_> = (0..10)
            .map(|i| (f64::from(i), 3.0 * f64::from(i)))
            .collect();
        let smooth = smoothed(&line, 5);
        for (got, want) in smooth.iter().zip(&line).skip(2).take(6) {
            assert!((got.1 - want.1).abs() < 1e-12);
        }
        assert!((smooth[0].1 - 3.0).abs() < 1e-12);
        assert_eq!(smoothed(&line, 0), line);
    }

    #[test]
    fn markers_are_spread_over_the_axis() {
        let points: Vec<_> = (0..=1200).map(|i| (f64::from(i), 1.0)).collect();
        let x = |points: &[(f64, f64)], offset| -> Vec<f64> {
            let marked = marked(points, (0.0, 1200.0), offset);
            marked.iter().map(|point| point.0).collect()
        };
        let steps: Vec<f64> = (0..12).map(|i| f64::from(25 + 100 * i)).collect();
        assert_eq!(x(&points, 0.25), steps);
        // Neither beyond the end of a curve that ends early, nor within a gap.
        assert_eq!(x(&points[..150], 0.25), [25.0, 125.0]);
        assert_eq!(
            x(&[&points[..20], &points[900..950]].concat(), 0.25),
            [900.0, 925.0]
        );
        assert_eq!(x(&points[..3], 0.25), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 0.0)).collect();
        points[77_777].1 = 5.0;
        points[77_780].1 = -5.0;
        let kept = thinned(&points);
        assert!(kept.len() <= MAX_POINTS + 2);
        assert!(kept.contains(&(77_777.0, 5.0)) && kept.contains(&(77_780.0, -5.0)));
        assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
    }
}
