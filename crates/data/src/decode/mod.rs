//! Decodes image files to a [`Photo`], equal to Pillow's `Image.open(file).convert("RGB")` to the
//! last bit.
//!
//! JPEG (baseline, extended and progressive; gray, YCbCr, RGB, CMYK, YCCK; any subsampling), PNG
//! (all bit depths, palettes, alpha, interlacing) and WebP (lossy, lossless; the first frame of an
//! animation). As in Pillow, the content decides the format, not the name. Alpha is dropped, EXIF
//! orientation and color profiles are ignored, and a truncated file is an error. A PNG that lacks
//! only the data after its pixels does not count as truncated.
//!
//! A file may be hostile: its size is checked before memory is allocated for its pixels, and a
//! panic in a decoder becomes a [`DecodeError`].

mod error;
mod format;
mod jpeg;
mod png;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use error::DecodeError;
use format::Format;

use crate::Photo;

/// Limits beyond which a file is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The greatest width x height.
    pub max_pixels: u64,
    /// The longest file that is read.
    pub max_file_bytes: u64,
}

impl Default for DecodeLimits {
    /// Pillow's limit for errors, 178,956,970 pixels (twice its `Image.MAX_IMAGE_PIXELS`, above
    /// which it only warns), and 1 GiB per file.
    fn default() -> Self {
        Self {
            max_pixels: 178_956_970,
            max_file_bytes: 1 << 30,
        }
    }
}

impl DecodeLimits {
    /// Rejects an image by the size in its header.
    fn check(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            return Err(DecodeError::Corrupt(format!(
                "an image of {width} x {height} pixels"
            )));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.max_pixels {
            return Err(DecodeError::TooLarge {
                width,
                height,
                max_pixels: self.max_pixels,
            });
        }
        Ok(())
    }
}

/// Decodes the image file `bytes` into `photo` as RGB; the memory of `photo` is reused.
///
/// ```
/// use e2mc_data::decode::{DecodeError, DecodeLimits, decode};
/// use e2mc_data::Photo;
///
/// let mut photo = Photo::default();
/// let error = decode(b"not an image", &DecodeLimits::default(), &mut photo).unwrap_err();
/// assert!(matches!(error, DecodeError::UnknownFormat));
/// ```
///
/// # Errors
///
/// [`DecodeError`] if the bytes are not a JPEG, PNG or WebP image, are truncated or damaged, or
/// exceed `limits`. The content of `photo` is then unspecified.
pub fn decode(bytes: &[u8], limits: &DecodeLimits, photo: &mut Photo) -> Result<(), DecodeError> {
    // The decoders are third-party code, and a file may be crafted to break them. One file must not
    // end a training run of several days. Only `photo` outlives the panic, and its invariants
    // always hold.
    catch_unwind(AssertUnwindSafe(|| match Format::of(bytes)? {
        Format::Jpeg => jpeg::decode(bytes, limits, photo),
        Format::Png => png::decode(bytes, limits, photo),
        Format::WebP => webp::decode(bytes, limits, photo),
    }))
    .unwrap_or_else(|_| {
        Err(DecodeError::Corrupt(
            "data that the decoder fails on".into(),
        ))
    })
}
