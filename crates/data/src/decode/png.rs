use std::io::Cursor;

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Transformations};

use super::{DecodeError, DecodeLimits};
use crate::source::Photo;

/// What chunks other than the pixels may allocate: text, profiles, palettes.
const MAX_OTHER_BYTES: usize = 64 << 20;

pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    photo: &mut Photo,
) -> Result<(), DecodeError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    // 16 bits stay as they are: Pillow reduces grey and colour in two ways.
    decoder.set_transformations(Transformations::IDENTITY);
    let header = decoder.read_header_info().map_err(error)?;
    let (width, height) = (header.width, header.height);
    limits.check(width, height)?;
    let (width, height) = (width as usize, height as usize);
    // Eight bytes a pixel at most, and one a row for the filter.
    decoder.set_limits(png::Limits {
        bytes: MAX_OTHER_BYTES + width * 8 + 1,
    });
    let mut reader = decoder.read_info().map_err(error)?;
    let (color, depth) = reader.output_color_type();
    if (color, depth) == (ColorType::Rgb, BitDepth::Eight) {
        return reader
            .next_frame(photo.refill([height, width, 3]))
            .map(|_| ())
            .map_err(error);
    }
    let mut raw = vec![0; reader.output_buffer_size().ok_or(DecodeError::Truncated)?];
    reader.next_frame(&mut raw).map_err(error)?;
    let row_bytes = reader.output_line_size(width as u32).unwrap_or(0);
    let palette = palette(reader.info().palette.as_deref().unwrap_or(&[]));

    let rows = photo
        .refill([height, width, 3])
        .chunks_exact_mut(3 * width)
        .zip(raw.chunks_exact(row_bytes));
    for (row, raw) in rows {
        let pixels = row.chunks_exact_mut(3);
        match (color, depth) {
            (ColorType::Grayscale, BitDepth::Sixteen) => {
                // Pillow clips 16-bit grey where it takes the high byte of 16-bit colour.
                for (pixel, value) in pixels.zip(raw.chunks_exact(2)) {
                    pixel.fill(if value[0] == 0 { value[1] } else { 255 });
                }
            }
            (ColorType::Grayscale | ColorType::Indexed, _) => {
                let bits = depth as u8;
                let per_byte = usize::from(8 / bits);
                let mask = (0xff_u16 >> (8 - bits)) as u8;
                let scale = 255 / mask;
                for (x, pixel) in pixels.enumerate() {
                    let shift = 8 - bits * (x % per_byte + 1) as u8;
                    let value = (raw[x / per_byte] >> shift) & mask;
                    if color == ColorType::Indexed {
                        pixel.copy_from_slice(&palette[usize::from(value)]);
                    } else {
                        pixel.fill(value * scale);
                    }
                }
            }
            (ColorType::GrayscaleAlpha, _) => {
                let step = 2 * depth as usize / 8;
                for (pixel, value) in pixels.zip(raw.chunks_exact(step)) {
                    pixel.fill(value[0]);
                }
            }
            (ColorType::Rgb | ColorType::Rgba, _) => {
                let size = depth as usize / 8;
                let step = size * color.samples();
                for (pixel, value) in pixels.zip(raw.chunks_exact(step)) {
                    for (channel, to) in pixel.iter_mut().enumerate() {
                        *to = value[channel * size];
                    }
                }
            }
        }
    }
    Ok(())
}

/// All 256 colours: where a file defines fewer, Pillow's further ones are black.
fn palette(defined: &[u8]) -> [[u8; 3]; 256] {
    let mut palette = [[0; 3]; 256];
    for (color, defined) in palette.iter_mut().zip(defined.chunks_exact(3)) {
        color.copy_from_slice(defined);
    }
    palette
}

fn error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated
        }
        other => DecodeError::Corrupt(other.to_string()),
    }
}
