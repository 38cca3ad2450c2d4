//! The four operations of a color jitter.

use pulp::Arch;

use super::blend::blend;
use super::grayscale::luma;
use super::hue::shift_hue;
use super::image::Image;

/// Pixels whose luma is summed in 32 bits.
const SUM_BLOCK: usize = 1 << 16;

impl Image {
    /// Blends with black: `factor` 0 is black, 1 the image itself, above 1 brighter.
    pub fn adjust_brightness(&mut self, factor: f32) {
        blend_with(&mut self.pixels, 0, factor);
    }

    /// Blends with the rounded mean of the image's luma: `factor` 0 is uniform gray, 1 the image
    /// itself.
    pub fn adjust_contrast(&mut self, factor: f32) {
        let count = self.shape[1] * self.shape[2];
        let mean = (self.luma_sum() as f64 / count as f64 + 0.5) as u8;
        blend_with(&mut self.pixels, mean, factor);
    }

    /// Blends with the gray image: `factor` 0 is gray, 1 the image itself. A gray image does not
    /// change.
    pub fn adjust_saturation(&mut self, factor: f32) {
        if let Some([red, green, blue]) = self.rgb_planes() {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
                        let gray = luma(*red, *green, *blue);
                        *red = blend(gray, *red, factor);
                        *green = blend(gray, *green, factor);
                        *blue = blend(gray, *blue, factor);
                    }
                },
            );
        }
    }

    /// Shifts the hue by `shift` turns, -0.5 to 0.5. A gray image does not change.
    pub fn adjust_hue(&mut self, shift: f32) {
        // Truncated toward zero, then wrapped into 8 bits.
        let steps = (f64::from(shift) * 255.0) as i32 as u8;
        if let Some(planes) = self.rgb_planes() {
            shift_hue(Arch::new(), planes, steps);
        }
    }

    fn luma_sum(&mut self) -> u64 {
        let Some([red, green, blue]) = self.rgb_planes() else {
            return self.pixels.iter().map(|pixel| u64::from(*pixel)).sum();
        };
        let blocks = red
            .chunks(SUM_BLOCK)
            .zip(green.chunks(SUM_BLOCK))
            .zip(blue.chunks(SUM_BLOCK));
        Arch::new().dispatch(
            #[inline(always)]
            || {
                blocks
                    .map(|((red, green), blue)| {
                        let pixels = red.iter().zip(green).zip(blue);
                        let luma =
                            pixels.map(|((red, green), blue)| u32::from(luma(*red, *green, *blue)));
                        u64::from(luma.sum::<u32>())
                    })
                    .sum()
            },
        )
    }
}

fn blend_with(pixels: &mut [u8], from: u8, factor: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for pixel in pixels {
                *pixel = blend(from, *pixel, factor);
            }
        },
    );
}
