use serde::{Deserialize, Serialize};

use super::image::{Image, ImageRef};
use super::resized_crop::CropBox;

/// Fraction bits of a filter weight: 8 of 32 bits are the pixel's, 2 are room for the sum.
const WEIGHT_BITS: u32 = 32 - 8 - 2;

/// The filter of a resize, antialiased: its support grows with the reduction, as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Cubic convolution with a = -0.5.
    Bicubic,
}

/// Which of the two passes of a separable resize comes first. Each rounds to u8, so that the order shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassOrder {
    /// Rows first: Pillow up to 12, which made the published checkpoints.
    HorizontalFirst,
    /// Columns first where that is the shorter way: Pillow 13.
    Shorter,
}

impl Interpolation {
    /// Half the filter's width at scale 1.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((x - 5.0) * x + 8.0) * x * -0.5 + 2.0,
            _ => 0.0,
        }
    }
}

impl ImageRef<'_> {
    /// Cuts `region` out and resizes it to `[height, width]`. The filter does not look beyond the region.
    ///
    /// # Panics
    /// If `region` is empty or leaves the image, or a side of the target is 0.
    pub fn resized_crop(
        &self,
        region: CropBox,
        target: [usize; 2],
        interpolation: Interpolation,
        pass_order: PassOrder,
    ) -> Image {
        let CropBox {
            top,
            left,
            height,
            width,
        } = region;
        assert!(
            height > 0
                && width > 0
                && top + height <= self.height()
                && left + width <= self.width(),
            "{region:?} of an image of {} x {}",
            self.height(),
            self.width()
        );
        assert!(!target.contains(&0), "resize to {target:?}");
        let mut pixels = Vec::with_capacity(self.channels() * height * width);
        for plane in self.pixels().chunks_exact(self.height() * self.width()) {
            for row in plane.chunks_exact(self.width()).skip(top).take(height) {
                pixels.extend_from_slice(&row[left..left + width]);
            }
        }
        let [to_height, to_width] = target;
        let mut planes = Planes {
            pixels,
            height,
            width,
        };
        // Pillow 13's rule: the pass over columns goes first where it removes more than the other would.
        let removed = |from: usize, to: usize| from as i64 - to as i64;
        let vertical_first = pass_order == PassOrder::Shorter
            && removed(height, to_height) > (2 * removed(width, to_width)).max(0);
        if vertical_first {
            planes = planes.resize_height(to_height, interpolation);
        }
        planes = planes.resize_width(to_width, interpolation);
        planes = planes.resize_height(to_height, interpolation);
        Image::new(planes.pixels, [self.channels(), to_height, to_width])
    }
}

/// Planes of one size, one after the other.
struct Planes {
    pixels: Vec<u8>,
    height: usize,
    width: usize,
}

impl Planes {
    fn resize_width(self, to: usize, interpolation: Interpolation) -> Self {
        if to == self.width {
            return self;
        }
        let filter = Filter::new(self.width, to, interpolation);
        let mut pixels = Vec::with_capacity(self.pixels.len() / self.width * to);
        for row in self.pixels.chunks_exact(self.width) {
            pixels.extend(filter.taps.iter().map(|tap| {
                let sum: i32 = filter.weights[tap.weights()]
                    .iter()
                    .zip(&row[tap.start..])
                    .map(|(weight, pixel)| weight * i32::from(*pixel))
                    .sum();
                to_pixel(sum)
            }));
        }
        Self {
            pixels,
            width: to,
            ..self
        }
    }

    fn resize_height(self, to: usize, interpolation: Interpolation) -> Self {
        if to == self.height {
            return self;
        }
        let filter = Filter::new(self.height, to, interpolation);
        let mut pixels = Vec::with_capacity(self.pixels.len() / self.height * to);
        let mut sums = vec![0_i32; self.width];
        for plane in self.pixels.chunks_exact(self.height * self.width) {
            for tap in &filter.taps {
                sums.fill(0);
                let rows = plane.chunks_exact(self.width).skip(tap.start);
                for (weight, row) in filter.weights[tap.weights()].iter().zip(rows) {
                    for (sum, pixel) in sums.iter_mut().zip(row) {
                        *sum += weight * i32::from(*pixel);
                    }
                }
                pixels.extend(sums.iter().map(|sum| to_pixel(*sum)));
            }
        }
        Self {
            pixels,
            height: to,
            ..self
        }
    }
}

/// A fixed-point sum, rounded and clipped.
fn to_pixel(sum: i32) -> u8 {
    ((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS).clamp(0, 255) as u8
}

/// The weights that make each target position from the source positions around it.
struct Filter {
    taps: Vec<Tap>,
    weights: Vec<i32>,
}

/// One target position: the first source position, and its weights within [`Filter::weights`].
struct Tap {
    start: usize,
    first_weight: usize,
    count: usize,
}

impl Tap {
    fn weights(&self) -> std::ops::Range<usize> {
        self.first_weight..self.first_weight + self.count
    }
}

impl Filter {
    fn new(from: usize, to: usize, interpolation: Interpolation) -> Self {
        let scale = from as f64 / to as f64;
        // Antialiasing: in a reduction the filter is stretched to cover the source.
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        let mut taps = Vec::with_capacity(to);
        let mut weights = Vec::with_capacity(to * (support.ceil() as usize * 2 + 1));
        let mut raw = Vec::new();
        for position in 0..to {
            let center = (position as f64 + 0.5) * scale;
            // `as` truncates and takes negative numbers to 0, which is the clipping wanted.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            raw.clear();
            raw.extend((start..end).map(|source| {
                interpolation.weight((source as f64 - center + 0.5) * (1.0 / stretch))
            }));
            let total: f64 = raw.iter().sum();
            taps.push(Tap {
                start,
                first_weight: weights.len(),
                count: raw.len(),
            });
            weights.extend(raw.iter().map(|weight| to_fixed_point(weight / total)));
        }
        Self { taps, weights }
    }
}

/// Rounds half away from zero.
fn to_fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << WEIGHT_BITS) + 0.5_f64.copysign(weight)) as i32
}
