mod complete;
mod upsample;

use libjpeg_turbo_rs::{
    ColorSpace, DecodeLimits as JpegLimits, DecodeWarning, Decoder, JpegError, PixelFormat,
    RawImage,
};

use super::{DecodeError, DecodeLimits};
use crate::Photo;
use complete::check_complete;
use upsample::Plane;

/// No encoder writes more scans. Each costs a pass over all pixels.
const MAX_SCANS: usize = 100;

pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    photo: &mut Photo,
) -> Result<(), DecodeError> {
    check_complete(bytes)?;
    let mut decoder = open(bytes, limits)?;
    // As libjpeg does for a progressive file whose last scans are missing.
    decoder.set_block_smoothing(true);
    let header = decoder.header();
    let (width, height) = (header.width, header.height);
    let precision = header.precision;
    let samplings: Vec<(u8, u8)> = header
        .components
        .iter()
        .map(|part| (part.horizontal_sampling, part.vertical_sampling))
        .collect();
    limits.check(u32::from(width), u32::from(height))?;
    if precision != 8 {
        return Err(DecodeError::Unsupported(format!(
            "JPEG of {precision} bits"
        )));
    }
    let shape = [usize::from(height), usize::from(width), 3];
    match samplings.len() {
        // The decoder's own conversion assumes that the first component is the finest.
        1 | 3
            if samplings
                .iter()
                .all(|part| part.0 <= samplings[0].0 && part.1 <= samplings[0].1) =>
        {
            decoder.set_output_format(PixelFormat::Rgb);
            let rgb = photo.refill(shape);
            if decoder.decode_image_into(rgb).is_ok() {
                return Ok(());
            }
            decoder.set_lenient(true);
            tolerable(decoder.decode_image_into(rgb).map_err(error)?.warnings)
        }
        3 | 4 => {
            let space = decoder.jpeg_color_space();
            let planes = match decoder.decode_raw() {
                Ok(planes) => planes,
                Err(_) => {
                    let mut decoder = open(bytes, limits)?;
                    decoder.set_lenient(true);
                    let (planes, warnings) = decoder.decode_raw_with_warnings().map_err(error)?;
                    tolerable(warnings)?;
                    planes
                }
            };
            from_planes(&planes, &samplings, space, photo.refill(shape))
        }
        n => Err(DecodeError::Unsupported(format!("JPEG of {n} components"))),
    }
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Decoder<'a>, DecodeError> {
    Decoder::new_with_limits(
        bytes,
        JpegLimits {
            max_pixels: limits.max_pixels,
            max_scans: MAX_SCANS,
            ..JpegLimits::default()
        },
    )
    .map_err(error)
}

/// Checks the warnings of a lenient decoding, which runs if the faster strict one fails. If the
/// data end early but the file has its end marker, libjpeg only warns and leaves the rest gray, and
/// so do we. Other damage is an error, since this decoder would fill it differently.
fn tolerable(warnings: Vec<DecodeWarning>) -> Result<(), DecodeError> {
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

/// RGB from the stored components. The decoder's own conversion is wrong at the edges of coarser
/// colors if there is a fourth component, and does not support components finer than the first.
fn from_planes(
    image: &RawImage,
    samplings: &[(u8, u8)],
    space: ColorSpace,
    rgb: &mut [u8],
) -> Result<(), DecodeError> {
    let finest = samplings.iter().fold((1, 1), |finest, part| {
        (finest.0.max(part.0), finest.1.max(part.1))
    });
    let mut planes = Vec::with_capacity(samplings.len());
    for (component, &(across, down)) in samplings.iter().enumerate() {
        if !finest.0.is_multiple_of(across) || !finest.1.is_multiple_of(down) {
            return Err(DecodeError::Unsupported(format!(
                "JPEG with components sampled {samplings:?}"
            )));
        }
        let size = |pixels: usize, part: u8, finest: u8| {
            (pixels * usize::from(part)).div_ceil(usize::from(finest))
        };
        let plane = Plane {
            values: &image.planes[component],
            stride: image.plane_widths[component],
            width: size(image.width, across, finest.0),
            height: size(image.height, down, finest.1),
            factor: [usize::from(finest.0 / across), usize::from(finest.1 / down)],
        };
        planes.push(plane.upsampled([image.height, image.width]));
    }
    for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let part = |component: usize| planes[component][at];
        let stored = [part(0), part(1), part(2)];
        let color = match space {
            ColorSpace::YCbCr | ColorSpace::Ycck => rgb_of_ycc(stored),
            _ => stored,
        };
        let color = match space {
            // Stored inverted, and inverted again by libjpeg's conversion to CMYK.
            ColorSpace::Ycck => rgb_of_inverted(color.map(|value| 255 - value), part(3)),
            ColorSpace::Cmyk => rgb_of_inverted(color, part(3)),
            _ => color,
        };
        pixel.copy_from_slice(&color);
    }
    Ok(())
}

/// libjpeg's conversion, in fixed point of 16 bits.
fn rgb_of_ycc([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let (y, blue, red) = (i32::from(y), i32::from(blue) - 128, i32::from(red) - 128);
    let half = 1 << 15;
    [
        y + ((91_881 * red + half) >> 16),
        y + ((-22_554 * blue - 46_802 * red + half) >> 16),
        y + ((116_130 * blue + half) >> 16),
    ]
    .map(|value| value.clamp(0, 255) as u8)
}

/// Pillow assumes that every CMYK file stores 255 - ink, as Adobe's do, and subtracts the inks from
/// white.
fn rgb_of_inverted(inverted: [u8; 3], black: u8) -> [u8; 3] {
    let white = u32::from(black);
    inverted.map(|value| {
        let product = (255 - u32::from(value)) * white + 128;
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
