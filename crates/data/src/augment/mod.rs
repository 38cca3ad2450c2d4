//! Image operations on u8 pixels. Their results equal torchvision's on Pillow to the last bit.
//!
//! A [`Photo`](crate::Photo) is cropped and resized to an [`Image`], which is planar:
//! `[channels, height, width]`, one channel for gray (Pillow's mode "L") or three for RGB. For each
//! operation, `sample` draws the random parameters by torchvision's procedure, and a function of
//! [`Image`] applies them without drawing anything. tests/reference/augment.py compares the latter
//! with Pillow.
//!
//! The compiler vectorizes the loops for AVX-512, AVX2 and the plain target. The best one that the
//! machine supports is chosen at run time. All give the same results.

mod adjust;
mod blend;
mod blur;
mod center_crop;
mod color_jitter;
mod crop_box;
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
pub use crop_box::CropBox;
pub use image::Image;
pub(crate) use resize::ResizeScratch;
pub use resize::{Interpolation, PassOrder, Resize};
pub use resized_crop::RandomResizedCrop;

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

    /// Random pixels with flat and with extreme regions.
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
