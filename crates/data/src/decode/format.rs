use super::DecodeError;

/// The formats that are read.
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
}

/// Other formats by their first bytes.
const OTHERS: [(&[u8], &str); 17] = [
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"P2", "PGM or PPM"),
    (b"P3", "PGM or PPM"),
    (b"P5", "PGM or PPM"),
    (b"P6", "PGM or PPM"),
    (b"\0\0\x01\0", "ICO"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
];

/// Other files that often have an image's name, by their first bytes.
const NO_IMAGES: [(&[u8], &str); 9] = [
    (
        b"\0\x05\x16\x07",
        "a macOS file of attributes (AppleDouble)",
    ),
    (
        b"version https://git-lfs",
        "a Git LFS pointer (run `git lfs pull`)",
    ),
    (b"<!DOCTYPE", "an HTML page (download the image again)"),
    (b"<!doctype", "an HTML page (download the image again)"),
    (b"<html", "an HTML page (download the image again)"),
    (b"<?xml", "an XML file"),
    (b"<svg", "an SVG drawing"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
];

impl Format {
    /// The format by its first bytes, as Pillow identifies it.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            Err(DecodeError::Empty)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Ok(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Self::Png)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Ok(Self::WebP)
        } else {
            Err(Self::other(bytes))
        }
    }

    /// Identifies a file of another format by its first bytes.
    fn other(bytes: &[u8]) -> DecodeError {
        let named = |table: &[(&[u8], &'static str)]| {
            let mut table = table.iter();
            table
                .find(|(start, _)| bytes.starts_with(start))
                .map(|(_, name)| *name)
        };
        let format = named(&OTHERS).or_else(|| container(bytes));
        if let Some(format) = format {
            return DecodeError::Unsupported(format.into());
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return DecodeError::NotAnImage("nothing but zeros (copy the file again)".into());
        }
        match named(&NO_IMAGES) {
            Some(what) => DecodeError::NotAnImage(what.into()),
            None => DecodeError::UnknownFormat,
        }
    }
}

/// The format of a file in the container of MPEG-4, whose first box names its brands.
fn container(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    let end = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let brands = bytes.get(8..end.max(12).min(bytes.len()))?;
    let has = |names: &[&[u8]]| brands.chunks_exact(4).any(|brand| names.contains(&brand));
    Some(if has(&[b"avif", b"avis"]) {
        "AVIF"
    } else if has(&[
        b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1",
    ]) {
        "HEIC"
    } else {
        "MPEG-4 video"
    })
}
