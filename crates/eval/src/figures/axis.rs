use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// Values beyond this are shown as missing: their differences would overflow.
const LARGEST: f64 = 1e300;

/// In shorter ranges, f64 cannot tell the ticks apart.
const SHORTEST: f64 = 1e-250;

/// Whether a value can be drawn.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// A range of values with round ticks inside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub min: f64,
    pub max: f64,
    pub ticks: Vec<f64>,
    /// Distance of two ticks.
    step: f64,
}

impl Axis {
    /// The smallest and the largest drawable value, if there is one.
    pub fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        values
            .filter(|&value| drawable(value))
            .fold(None, |extent, value| match extent {
                None => Some((value, value)),
                Some((min, max)) => Some((min.min(value), max.max(value))),
            })
    }

    /// An axis from `min` to `max`, both drawable, with about `count` ticks. An empty range is
    /// widened.
    pub fn new(min: f64, max: f64, count: usize) -> Self {
        let magnitude = min.abs().max(max.abs());
        let (min, max) = if max - min > (1e-9 * magnitude).max(SHORTEST) {
            (min, max)
        } else {
            let half = if magnitude > SHORTEST {
                0.05 * magnitude
            } else {
                0.5
            };
            (min - half, max + half)
        };
        let step = round_step((max - min) / count as f64);
        let first = (min / step - 1e-9).ceil();
        let last = (max / step + 1e-9).floor();
        let ticks = (0..=(last - first) as usize)
            .map(|i| (first + i as f64) * step)
            .collect();
        Self {
            min,
            max,
            ticks,
            step,
        }
    }

    /// An axis with margins: a share `room` of the range on either side.
    pub fn with_room(min: f64, max: f64, room: f64, count: usize) -> Self {
        let tight = Self::new(min, max, count);
        let room = room * (tight.max - tight.min);
        Self::new(tight.min - room, tight.max + room, count)
    }

    /// A tick as text, with as many digits as the step needs.
    pub fn label(&self, tick: f64) -> String {
        // Ticks are multiples of the step, so a value this close to 0 is rounding.
        let tick = if tick.abs() < 1e-6 * self.step {
            0.0
        } else {
            tick
        };
        let magnitude = self.min.abs().max(self.max.abs());
        let step_exponent = exponent(self.step);
        let label = if magnitude < 1e6 && step_exponent >= -5 {
            format!("{tick:.*}", (-step_exponent).max(0) as usize)
        } else if tick == 0.0 {
            "0".to_owned()
        } else {
            let digits = (exponent(tick) - step_exponent).max(0) as usize;
            format!("{tick:.digits$e}")
        };
        label.replace('-', "\u{2212}")
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.min) / (self.max - self.min);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    /// Plotters also asks for minor grid lines. There are none.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.min..self.max
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

/// The power of ten in a value's scientific form. The small term makes 0.1 + 0.2 tenths.
fn exponent(value: f64) -> i32 {
    (value.abs().log10() + 1e-9).floor() as i32
}

/// The nearest of 1, 2, 5 times a power of ten that is not below the given step.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powi(exponent(step));
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&round| round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(&Axis::new(0.0, 1.0, 5)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(&Axis::new(67.3, 71.2, 4)), ["68", "69", "70", "71"]);
        assert_eq!(
            labels(&Axis::new(-0.03, 0.01, 4)),
            ["−0.03", "−0.02", "−0.01", "0.00", "0.01"]
        );
        assert_eq!(labels(&Axis::new(0.0, 4e-7, 2)), ["0", "2e−7", "4e−7"]);
        assert_eq!(
            labels(&Axis::new(9.9e6, 1.01e7, 2)),
            ["9.9e6", "1.00e7", "1.01e7"]
        );
    }

    #[test]
    fn any_drawable_range_has_finite_ticks() {
        let ends = [
            -1e300,
            -1e9,
            -1.0,
            -1e-300,
            0.0,
            5e-324,
            1e-300,
            1.0,
            1.0 + 1e-15,
            1e300,
        ];
        for (i, &min) in ends.iter().enumerate() {
            for &max in &ends[i..] {
                let axis = Axis::with_room(min, max, 0.05, 5);
                assert!(axis.max > axis.min, "{min} {max}");
                assert!(axis.ticks.len() <= 12, "{min} {max}: {axis:?}");
                assert!(axis.ticks.iter().all(|t| t.is_finite()));
                assert!(labels(&axis).iter().all(|label| label.len() < 30));
            }
        }
    }
}
