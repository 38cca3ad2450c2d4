//! The single image operations, on u8 pixels, with the results of torchvision on Pillow to the last bit.
//!
//! A [`Photo`](crate::source::Photo) is cropped and resized to an [`Image`], which is planar: `[channels, height, width]`, one
//! channel for grey (Pillow's mode "L") or three for RGB. Each operation has its random parameters drawn by a `sample`
//! function following torchvision's procedure, and applied by a function of [`Image`] that draws nothing;
//! tests/reference/augment.py holds the second to Pillow.
//!
//! The loops are written so that the compiler vectorises them, and compiled for AVX-512, AVX2 and the plain target, of which
//! the best that the machine has is chosen at run time. Neither changes a result.

mod adjust;
mod blend;
mod blur;
mod center_crop;
mod color_jitter;
mod flip;
mod grayscale;
mod hue;
mod image;
mod lanes;
mod resize;
mod resized_crop;
mod solarize;

pub use blur::BlurConfig;
pub(crate) use blur::BlurScratch;
pub use center_crop::CenterCrop;
pub use color_jitter::{ColorJitter, ColorJitterConfig, ColorOperation};
pub use image::Image;
pub(crate) use resize::ResizeScratch;
pub use resize::{Interpolation, PassOrder, Resize};
pub use resized_crop::{CropBox, RandomResizedCrop};

#[cfg(test)]
mod tests {
    use pulp::Arch;
    use rand::rngs::ChaCha8Rng;
    use rand::{Rng, SeedableRng};

    /// Runs `test` with every instruction set that this machine has.
    pub(super) fn each_arch(mut test: impl FnMut(Arch)) {
        test(Arch::Scalar);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                test(Arch::V3(simd));
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                test(Arch::V4(simd));
            }
        }
    }

    /// Random pixels with flat and with extreme places.
    pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        (0..len)
            .map(|i| match (rng.next_u32(), i / 16 % 4) {
                (bits, 0) => (bits % 2 * 255) as u8,
                (bits, 1) => (128 + bits % 3) as u8,
                (bits, _) => bits as u8,
            })
            .collect()
    }
}
