use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::{DecodeError, DecodeLimits};
use crate::Photo;

/// The flag of a frame that replaces the pixels beneath it.
const NO_BLENDING: u8 = 2;

/// Decodes an image, or the first frame of an animation on a transparent canvas. libwebp, and so
/// Pillow, does not blend that frame with the canvas, whatever its flags say.
pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    photo: &mut Photo,
) -> Result<(), DecodeError> {
    // The decoder itself accepts a file without its very last bytes.
    let announced = bytes
        .get(4..8)
        .and_then(|size| size.try_into().ok())
        .map_or(u64::MAX, |size| 8 + u64::from(u32::from_le_bytes(size)));
    if (bytes.len() as u64) < announced {
        return Err(DecodeError::Truncated);
    }
    let unblended;
    let bytes = match first_frame_flags(bytes) {
        Some(at) if bytes[at] & NO_BLENDING == 0 => {
            let mut copy = bytes.to_vec();
            copy[at] |= NO_BLENDING;
            unblended = copy;
            &unblended
        }
        _ => bytes,
    };
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let shape = [height as usize, width as usize, 3];
    if decoder.has_alpha() {
        let mut rgba = vec![0; 4 * width as usize * height as usize];
        decoder.read_image(&mut rgba).map_err(error)?;
        for (rgb, rgba) in photo
            .refill(shape)
            .chunks_exact_mut(3)
            .zip(rgba.chunks_exact(4))
        {
            rgb.copy_from_slice(&rgba[..3]);
        }
    } else {
        decoder.read_image(photo.refill(shape)).map_err(error)?;
    }
    Ok(())
}

/// The position of the flags of an animation's first frame.
fn first_frame_flags(bytes: &[u8]) -> Option<usize> {
    if bytes.get(12..16)? != b"VP8X" {
        return None;
    }
    let mut at = 12;
    loop {
        let (kind, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
        if kind == b"ANMF" {
            return Some(at + 8 + 15).filter(|at| *at < bytes.len());
        }
        let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
        at = at
            .checked_add(8)?
            .checked_add(length)?
            .checked_add(length % 2)?;
    }
}

fn error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated
        }
        other => DecodeError::Corrupt(other.to_string()),
    }
}
