use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::{DecodeError, DecodeLimits};
use crate::source::Photo;

pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    photo: &mut Photo,
) -> Result<(), DecodeError> {
    // The decoder itself lets the very last bytes be missing.
    let announced = bytes
        .get(4..8)
        .and_then(|size| size.try_into().ok())
        .map_or(u64::MAX, |size| 8 + u64::from(u32::from_le_bytes(size)));
    if (bytes.len() as u64) < announced {
        return Err(DecodeError::Truncated);
    }
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

fn error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated
        }
        other => DecodeError::Corrupt(other.to_string()),
    }
}
