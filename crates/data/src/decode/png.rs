use std::io::Cursor;

use png::{
    BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, InterlaceInfo, Reader,
    Transformations, expand_interlaced_row,
};

use super::{DecodeError, DecodeLimits};
use crate::Photo;

/// Memory limit for chunks other than the pixels: text, profiles, palettes.
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
    // 16-bit values are kept: Pillow reduces gray and color differently.
    decoder.set_transformations(Transformations::IDENTITY);
    let header = decoder.read_header_info().map_err(error)?;
    let (width, height) = (header.width, header.height);
    limits.check(width, height)?;
    let (width, height) = (width as usize, height as usize);
    // At most eight bytes per pixel, and one per row for the filter.
    decoder.set_limits(png::Limits {
        bytes: MAX_OTHER_BYTES + width * 8 + 1,
    });
    let mut reader = decoder.read_info().map_err(error)?;
    let (color, depth) = reader.output_color_type();
    if (color, depth) == (ColorType::Rgb, BitDepth::Eight) {
        read_pixels(&mut reader, photo.refill([height, width, 3]))?;
        return check_trailer(bytes);
    }
    let mut raw = vec![0; reader.output_buffer_size().ok_or(DecodeError::Truncated)?];
    read_pixels(&mut reader, &mut raw)?;
    check_trailer(bytes)?;
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
                // Pillow clips 16-bit gray, but takes the high byte of 16-bit color.
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

/// Reads the rows into `pixels`. A file may end after them, as in Pillow.
fn read_pixels(reader: &mut Reader<Cursor<&[u8]>>, pixels: &mut [u8]) -> Result<(), DecodeError> {
    let (color, depth) = reader.output_color_type();
    let info = reader.info();
    let (width, height, interlaced) = (info.width, info.height, info.interlaced);
    let row_bytes = reader.output_line_size(width).unwrap_or(0);
    let missing = || DecodeError::Corrupt("rows are missing".into());
    if interlaced {
        let bits = color.samples() as u8 * depth as u8;
        for _ in 0..interlaced_rows(width, height) {
            let row = reader.next_interlaced_row().map_err(error)?;
            let row = row.ok_or_else(missing)?;
            if let InterlaceInfo::Adam7(place) = row.interlace() {
                expand_interlaced_row(pixels, row_bytes, row.data(), place, bits);
            }
        }
    } else {
        for row in pixels.chunks_exact_mut(row_bytes) {
            reader.read_row(row).map_err(error)?.ok_or_else(missing)?;
        }
    }
    // The data after the rows have checksums, which are verified if present.
    match reader.next_row().map(|_| ()).map_err(error) {
        Err(DecodeError::Truncated) => Ok(()),
        result => result,
    }
}

/// The number of rows in the seven passes of an interlaced image.
fn interlaced_rows(width: u32, height: u32) -> u32 {
    // For each pass: the first column, the first row, and the distance between its rows.
    const PASSES: [[u32; 3]; 7] = [
        [0, 0, 8],
        [4, 0, 8],
        [0, 4, 8],
        [2, 0, 4],
        [0, 2, 4],
        [1, 0, 2],
        [0, 1, 2],
    ];
    PASSES
        .iter()
        .filter(|[column, _, _]| *column < width)
        .map(|[_, row, step]| height.saturating_sub(*row).div_ceil(*step))
        .sum()
}

/// Checks the data after the pixels as Pillow does: the file may end anywhere except within a
/// chunk's data.
fn check_trailer(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    let mut pixels_found = false;
    while let Some((header, data)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = &header[4..];
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        // The next frame of an animation, the end, and bytes that are not a chunk are not checked.
        let last = kind == b"IEND" || kind == b"fcTL" && pixels_found;
        if last || !kind.iter().all(is_name) {
            break;
        }
        pixels_found |= kind == b"IDAT";
        if data.len() < length && kind != b"IDAT" {
            return Err(DecodeError::Truncated);
        }
        rest = data.get(length + 4..).unwrap_or_default();
    }
    Ok(())
}

/// All 256 colors. A color that the file does not define is black, as in Pillow.
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
