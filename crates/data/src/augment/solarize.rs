use pulp::Arch;

use super::image::Image;

impl Image {
    /// Inverts every value that is at least `threshold`, as Pillow's `ImageOps.solarize`.
    pub fn solarize(&mut self, threshold: u8) {
        solarize(Arch::new(), &mut self.pixels, threshold);
    }
}

fn solarize(arch: Arch, pixels: &mut [u8], threshold: u8) {
    arch.dispatch(
        #[inline(always)]
        || {
            for pixel in pixels {
                *pixel = if *pixel < threshold {
                    *pixel
                } else {
                    255 - *pixel
                };
            }
        },
    );
}
