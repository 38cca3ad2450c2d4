use memchr::memchr;

use crate::decode::DecodeError;

/// Checks that the image is complete, as Pillow does: by following the markers. An end marker
/// inside a segment (a thumbnail in EXIF, a color profile, a comment) does not count.
///
/// A sequential image in one scan is complete if any marker follows its data. Other images need
/// their end marker, since more scans may follow.
///
/// # Errors
///
/// [`DecodeError::Truncated`]. The content of the segments is checked by the decoder.
pub(super) fn check_complete(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut walk = Walk { bytes, at: 2 };
    let mut components_of_sequential = None;
    loop {
        match walk.marker()? {
            0xd9 => return Ok(()),
            // Restart, start and TEM have no segment.
            0x01 | 0xd0..=0xd8 => {}
            0xda => {
                let header = walk.segment()?;
                walk.skip_scan()?;
                if header.first().copied() == components_of_sequential {
                    return Ok(());
                }
            }
            // The frame headers of sequential pictures: baseline, extended, extended with
            // arithmetic coding.
            0xc0 | 0xc1 | 0xc9 => components_of_sequential = walk.segment()?.get(5).copied(),
            _ => {
                walk.segment()?;
            }
        }
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next marker. Bytes before it are skipped, as in libjpeg.
    fn marker(&mut self) -> Result<u8, DecodeError> {
        loop {
            self.at += memchr(0xff, self.rest()).ok_or(DecodeError::Truncated)?;
            let fill = self.rest().iter().take_while(|byte| **byte == 0xff).count();
            self.at += fill;
            let code = *self.rest().first().ok_or(DecodeError::Truncated)?;
            self.at += 1;
            if code != 0 {
                return Ok(code);
            }
        }
    }

    /// The bytes of a segment after its length.
    fn segment(&mut self) -> Result<&'a [u8], DecodeError> {
        let (length, rest) = self
            .rest()
            .split_first_chunk()
            .ok_or(DecodeError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length)).saturating_sub(2);
        let segment = rest.get(..length).ok_or(DecodeError::Truncated)?;
        self.at += 2 + length;
        Ok(segment)
    }

    /// Skips the entropy-coded data up to the next marker.
    fn skip_scan(&mut self) -> Result<(), DecodeError> {
        loop {
            self.at += memchr(0xff, self.rest()).ok_or(DecodeError::Truncated)?;
            match self.rest().get(1) {
                Some(0 | 0xd0..=0xd7) => self.at += 2,
                Some(0xff) => self.at += 1,
                Some(_) => return Ok(()),
                None => return Err(DecodeError::Truncated),
            }
        }
    }
}
