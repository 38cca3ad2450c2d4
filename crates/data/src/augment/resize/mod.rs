mod filter;
mod horizontal;
mod vertical;

use pulp::Arch;
use serde::{Deserialize, Serialize};

use self::filter::Filter;
use self::horizontal::HorizontalPass;
use self::vertical::VerticalPass;
use super::crop_box::CropBox;
use super::image::Image;
use super::lanes::{Rows, dispatch};
use crate::Photo;

/// The filter of a resize, antialiased: its support grows with the reduction, as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Cubic convolution with a = -0.5.
    Bicubic,
}

/// Which of the two passes of a separable resize comes first. Each rounds to u8, so the order
/// changes results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassOrder {
    /// Rows first, as in Pillow up to 12, with which the published checkpoints were trained.
    HorizontalFirst,
    /// Columns first if that is cheaper, as in Pillow 13.
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

/// A region of a photo, resized, and a window of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// The part of the photo that is resized. The filter does not read beyond it.
    pub region: CropBox,
    /// `[height, width]` of the resized region.
    pub target: [usize; 2],
    /// The part of the resized region that is kept; nothing else is computed.
    pub window: CropBox,
    /// The filter.
    pub interpolation: Interpolation,
    /// The order of its passes.
    pub pass_order: PassOrder,
}

/// Memory of a resize, for reuse.
#[derive(Debug, Default)]
pub(crate) struct ResizeScratch {
    rows: Filter,
    columns: Filter,
    between: Vec<u8>,
    horizontal: horizontal::Scratch,
}

impl Resize {
    /// The whole of `region` resized to `[height, width]`.
    pub fn whole(
        region: CropBox,
        target: [usize; 2],
        interpolation: Interpolation,
        pass_order: PassOrder,
    ) -> Self {
        let [height, width] = target;
        Self {
            region,
            target,
            window: CropBox::whole(height, width),
            interpolation,
            pass_order,
        }
    }

    /// The window of the resized region of `photo`.
    ///
    /// # Panics
    ///
    /// If the region or the window is empty, the region leaves the photo or the window leaves the
    /// target.
    pub fn apply(&self, photo: &Photo) -> Image {
        let mut out = Image::default();
        let mut scratch = ResizeScratch::default();
        self.apply_into(Arch::new(), photo, false, &mut scratch, &mut out);
        out
    }

    /// [`apply`](Self::apply), mirrored if `flip`, into an image whose memory is reused.
    pub(crate) fn apply_into(
        &self,
        arch: Arch,
        photo: &Photo,
        flip: bool,
        scratch: &mut ResizeScratch,
        out: &mut Image,
    ) {
        let [photo_height, photo_width, channels] = photo.shape();
        let Self { region, window, .. } = *self;
        let [height, width] = self.target;
        assert!(
            region.is_within(photo_height, photo_width),
            "{region:?} of an image of {photo_height} x {photo_width}"
        );
        assert!(
            window.is_within(height, width),
            "{window:?} of a resize to {height} x {width}"
        );
        out.reshape([channels, window.height, window.width]);

        let ResizeScratch {
            rows,
            columns,
            between,
            horizontal,
        } = scratch;
        let window_columns = window.left..window.left + window.width;
        let window_rows = window.top..window.top + window.height;
        rows.set(region.width, width, window_columns, self.interpolation);
        columns.set(region.height, height, window_rows, self.interpolation);

        // The part of the photo that the window needs, as rows of interleaved channels.
        let resize_height = region.height != height;
        let needed = if resize_height {
            columns.sources()
        } else {
            window.top..window.top + window.height
        };
        let stride = photo_width * channels;
        let first = (region.top + needed.start) * stride + region.left * channels;
        let source = Rows {
            bytes: &photo.pixels()[first..],
            stride,
            width: region.width * channels,
        };
        let row_pass = |from: Rows<'_>, height: usize, out: &mut [u8], scratch: &mut _| {
            if region.width == width {
                let bytes = &from.bytes[window.left * channels..];
                let width = window.width * channels;
                let from = Rows {
                    bytes,
                    width,
                    ..from
                };
                return horizontal::copy(from, channels, height, flip, out);
            }
            if channels == 1 {
                dispatch(
                    arch,
                    HorizontalPass::<1> {
                        from,
                        height,
                        filter: rows,
                        flip,
                        scratch,
                        out,
                    },
                );
            } else {
                dispatch(
                    arch,
                    HorizontalPass::<3> {
                        from,
                        height,
                        filter: rows,
                        flip,
                        scratch,
                        out,
                    },
                );
            }
        };
        if !resize_height {
            row_pass(source, window.height, &mut out.pixels, horizontal);
        } else if self.vertical_first() {
            between.resize(window.height * source.width, 0);
            dispatch(
                arch,
                VerticalPass {
                    from: source,
                    first: needed.start,
                    filter: columns,
                    out: between,
                },
            );
            let source = Rows {
                bytes: between,
                stride: source.width,
                width: source.width,
            };
            row_pass(source, window.height, &mut out.pixels, horizontal);
        } else {
            let plane = needed.len() * window.width;
            between.resize(channels * plane, 0);
            row_pass(source, needed.len(), between, horizontal);
            let size = window.height * window.width;
            for (from, out) in between
                .chunks_exact(plane)
                .zip(out.pixels.chunks_exact_mut(size))
            {
                let from = Rows {
                    bytes: from,
                    stride: window.width,
                    width: window.width,
                };
                dispatch(
                    arch,
                    VerticalPass {
                        from,
                        first: needed.start,
                        filter: columns,
                        out,
                    },
                );
            }
        }
    }

    /// Pillow 13's rule: the pass that removes more goes first.
    fn vertical_first(&self) -> bool {
        let removed = |from: usize, to: usize| from as i64 - to as i64;
        let [height, width] = self.target;
        self.pass_order == PassOrder::Shorter
            && removed(self.region.height, height) > (2 * removed(self.region.width, width)).max(0)
    }
}

#[cfg(test)]
mod tests;
