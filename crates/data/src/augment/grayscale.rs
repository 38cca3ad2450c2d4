use pulp::Arch;

use super::image::Image;

impl Image {
    /// Replaces each color by its luma in all three channels. A gray image stays as it is.
    pub fn grayscale(&mut self) {
        if let Some([red, green, blue]) = self.rgb_planes() {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
                        let luma = luma(*red, *green, *blue);
                        (*red, *green, *blue) = (luma, luma, luma);
                    }
                },
            );
        }
    }
}

/// ITU-R 601 luma in 16-bit fixed point, rounded.
#[inline(always)]
pub(super) fn luma(red: u8, green: u8, blue: u8) -> u8 {
    ((19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 0x8000) >> 16)
        as u8
}
