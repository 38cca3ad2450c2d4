use libjpeg_turbo_rs::{
    DecodeLimits as JpegLimits, DecodeWarning, Decoder, JpegError, PixelFormat,
};

use super::{DecodeError, DecodeLimits};
use crate::source::Photo;

/// More scans than any encoder writes; each costs a pass over all pixels.
const MAX_SCANS: usize = 100;

pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    photo: &mut Photo,
) -> Result<(), DecodeError> {
    // Pillow refuses a file without its end, whatever of the picture is there.
    if !bytes.windows(2).rev().any(|marker| marker == b"\xff\xd9") {
        return Err(DecodeError::Truncated);
    }
    let mut decoder = Decoder::new_with_limits(
        bytes,
        JpegLimits {
            max_pixels: limits.max_pixels,
            max_scans: MAX_SCANS,
            ..JpegLimits::default()
        },
    )
    .map_err(error)?;
    // As libjpeg does for a progressive file whose last scans are missing.
    decoder.set_block_smoothing(true);
    let header = decoder.header();
    let (width, height) = (header.width, header.height);
    let (components, precision) = (header.components.len(), header.precision);
    limits.check(u32::from(width), u32::from(height))?;
    if precision != 8 {
        return Err(DecodeError::Unsupported(format!(
            "JPEG of {precision} bits"
        )));
    }
    let shape = [usize::from(height), usize::from(width), 3];
    match components {
        1 | 3 => {
            decoder.set_output_format(PixelFormat::Rgb);
            let rgb = photo.refill(shape);
            or_lenient(&mut decoder, |decoder| {
                Ok(decoder.decode_image_into(rgb)?.warnings)
            })?;
        }
        4 => {
            decoder.set_output_format(PixelFormat::Cmyk);
            let mut pixels = Vec::new();
            or_lenient(&mut decoder, |decoder| {
                let image = decoder.decode_image()?;
                pixels = image.data;
                Ok(image.warnings)
            })?;
            for (rgb, cmyk) in photo
                .refill(shape)
                .chunks_exact_mut(3)
                .zip(pixels.chunks_exact(4))
            {
                rgb.copy_from_slice(&rgb_of_inverted(cmyk));
            }
        }
        n => {
            return Err(DecodeError::Unsupported(format!("JPEG of {n} components")));
        }
    }
    Ok(())
}

/// Decodes strictly, which is faster, and where that fails leniently, for what libjpeg only warns of: data that end early in a file
/// that has its end, which leave the rest grey. Other damage, which this decoder fills in a way of its own, is refused.
fn or_lenient(
    decoder: &mut Decoder,
    mut decode: impl FnMut(&Decoder) -> Result<Vec<DecodeWarning>, JpegError>,
) -> Result<(), DecodeError> {
    if decode(decoder).is_ok() {
        return Ok(());
    }
    decoder.set_lenient(true);
    let warnings = decode(decoder).map_err(error)?;
    match warnings.into_iter().find(|warning| {
        !matches!(
            warning,
            DecodeWarning::TruncatedData { .. } | DecodeWarning::ExtraneousData { .. }
        )
    }) {
        Some(DecodeWarning::UnsupportedRecovered { detail }) => {
            Err(DecodeError::Unsupported(format!("JPEG with {detail}")))
        }
        Some(warning) => Err(DecodeError::Corrupt(warning.to_string())),
        None => Ok(()),
    }
}

/// Pillow takes every CMYK file for one of Adobe's, which store 255 - ink, and subtracts the inks from white.
fn rgb_of_inverted(cmyk: &[u8]) -> [u8; 3] {
    let white = u32::from(cmyk[3]);
    std::array::from_fn(|channel| {
        let product = (255 - u32::from(cmyk[channel])) * white + 128;
        (white - ((product >> 8) + product) / 256) as u8
    })
}

fn error(error: JpegError) -> DecodeError {
    match error {
        JpegError::UnexpectedEof => DecodeError::Truncated,
        JpegError::Unsupported(what) => DecodeError::Unsupported(format!("JPEG with {what}")),
        other => DecodeError::Corrupt(other.to_string()),
    }
}
