//! The entries of a zip archive, found through its central directory.
//!
//! We do not use a library for this. Libraries that expect a signature at a fixed place reject
//! archives whose first name has an unlucky length (zip 9.8.1: 30 characters). None of them returns
//! the offset of an uncompressed entry, which several threads need for reading.

use std::io::Read;

use flate2::read::DeflateDecoder;

use super::error::one_line;
use super::source::Source;

const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LEN: u64 = 20;
const END64: &[u8] = b"PK\x06\x06";
const END64_LEN: u64 = 56;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_LEN: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LEN: u64 = 30;
/// The longest comment behind the end record.
const MAX_COMMENT: u64 = 0xffff;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A file of the archive.
pub(super) struct Entry {
    pub(super) name: String,
    /// Bytes when unpacked.
    pub(super) size: u64,
    packed: u64,
    method: u16,
    encrypted: bool,
    crc: u32,
    header: u64,
}

/// Lists the archive's entries.
///
/// # Errors
///
/// The reason, if the directory is missing or inconsistent.
pub(super) fn entries(source: &Source) -> Result<Vec<Entry>, String> {
    let (start, len) = directory(source)?;
    let directory = source.read(start, len).map_err(one_line)?;
    let mut rest = directory.as_slice();
    let mut entries = Vec::new();
    while rest.starts_with(CENTRAL) && rest.len() >= CENTRAL_LEN {
        let [name, extra, comment] = [28, 30, 32].map(|at| u16_at(rest, at) as usize);
        let variable = rest.get(CENTRAL_LEN..CENTRAL_LEN + name + extra + comment);
        let variable = variable.ok_or("its directory ends early")?;
        let mut entry = Entry {
            name: String::from_utf8_lossy(&variable[..name]).into_owned(),
            size: u32_at(rest, 24).into(),
            packed: u32_at(rest, 20).into(),
            method: u16_at(rest, 10),
            encrypted: u16_at(rest, 8) & 1 != 0,
            crc: u32_at(rest, 16),
            header: u32_at(rest, 42).into(),
        };
        entry.widen(&variable[name..name + extra])?;
        entries.push(entry);
        rest = &rest[CENTRAL_LEN + name + extra + comment..];
    }
    match entries.is_empty() {
        true => Err("its directory of files is empty or misplaced".into()),
        false => Ok(entries),
    }
}

/// Offset and length of the central directory.
fn directory(source: &Source) -> Result<(u64, u64), String> {
    let tail_len = source.len().min(END_LEN as u64 + MAX_COMMENT);
    let tail_start = source.len() - tail_len;
    let tail = source.read(tail_start, tail_len).map_err(one_line)?;
    let at = (0..tail.len().saturating_sub(END_LEN - 1))
        .rev()
        .find(|&at| tail[at..].starts_with(END))
        .ok_or("its directory of files is missing")?;
    let mut len = u64::from(u32_at(&tail, at + 12));
    let mut start = u64::from(u32_at(&tail, at + 16));
    let end = tail_start + at as u64;
    let locator = match end.checked_sub(LOCATOR_LEN) {
        Some(place) => source.read(place, LOCATOR_LEN).map_err(one_line)?,
        None => Vec::new(),
    };
    if locator.starts_with(LOCATOR) {
        let record = source
            .read(u64_at(&locator, 8), END64_LEN)
            .map_err(one_line)?;
        if !record.starts_with(END64) {
            return Err("its directory of files is missing".into());
        }
        len = u64_at(&record, 40);
        start = u64_at(&record, 48);
    }
    Ok((start, len))
}

impl Entry {
    /// Uses the 64-bit sizes where the 32-bit fields refer to them.
    fn widen(&mut self, mut extra: &[u8]) -> Result<(), String> {
        const ZIP64: u16 = 1;
        const ELSEWHERE: u64 = 0xffff_ffff;
        while extra.len() >= 4 {
            let (kind, len) = (u16_at(extra, 0), u16_at(extra, 2) as usize);
            let Some(mut field) = extra.get(4..4 + len) else {
                // Padding, not a field.
                break;
            };
            if kind == ZIP64 {
                for value in [&mut self.size, &mut self.packed, &mut self.header] {
                    if *value == ELSEWHERE {
                        if field.len() < 8 {
                            return Err("its directory ends early".into());
                        }
                        *value = u64_at(field, 0);
                        field = &field[8..];
                    }
                }
            }
            extra = &extra[4 + len..];
        }
        Ok(())
    }

    /// Offset of the packed bytes in the file.
    fn start(&self, source: &Source) -> Result<u64, String> {
        let header = source.read(self.header, LOCAL_LEN).map_err(one_line)?;
        if !header.starts_with(LOCAL) {
            return Err(format!("{} is not where its directory says", self.name));
        }
        let variable = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        Ok(self.header + LOCAL_LEN + variable)
    }

    /// Reads `len` bytes from `from` on, counted in the unpacked entry.
    ///
    /// # Errors
    ///
    /// The reason.
    pub(super) fn read(&self, source: &Source, from: u64, len: u64) -> Result<Vec<u8>, String> {
        if from.checked_add(len).is_none_or(|end| end > self.size) {
            return Err(format!(
                "bytes {from} to +{len} were requested of {}, which has {}",
                self.name, self.size
            ));
        }
        if self.encrypted {
            return Err(format!("{} is encrypted", self.name));
        }
        match self.method {
            STORED if self.packed == self.size => source
                .read(self.start(source)?.saturating_add(from), len)
                .map_err(one_line),
            DEFLATED => {
                let packed = source
                    .read(self.start(source)?, self.packed)
                    .map_err(one_line)?;
                let mut bytes = Vec::new();
                DeflateDecoder::new(packed.as_slice())
                    .take(from + len)
                    .read_to_end(&mut bytes)
                    .map_err(one_line)?;
                if bytes.len() as u64 != from + len {
                    return Err(format!("{} ends early", self.name));
                }
                bytes.drain(..from as usize);
                Ok(bytes)
            }
            STORED => Err(format!("{} has two different sizes", self.name)),
            other => Err(format!("{} is packed by the method {other}", self.name)),
        }
    }

    /// Whether `bytes`, the whole entry, match its checksum.
    pub(super) fn has_checksum_of(&self, bytes: &[u8]) -> bool {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum() == self.crc
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
