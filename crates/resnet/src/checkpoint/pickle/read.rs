use std::io::{self, BufRead};

/// Longer lines and texts are skipped: no name of a tensor or class is that long.
pub(super) const MAX_TEXT: u64 = 4096;

pub(super) fn broken_off(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "its pickle ends early".into(),
        _ => error.to_string(),
    }
}

pub(super) fn byte(r: &mut impl BufRead) -> Result<u8, String> {
    let mut byte = [0];
    r.read_exact(&mut byte).map_err(broken_off)?;
    Ok(byte[0])
}

/// A little-endian number of 1 to 8 bytes.
pub(super) fn number(r: &mut impl BufRead, len: usize) -> Result<u64, String> {
    let mut bytes = [0; 8];
    r.read_exact(&mut bytes[..len]).map_err(broken_off)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Eight bytes, the highest first.
pub(super) fn float(r: &mut impl BufRead) -> Result<f64, String> {
    let mut bytes = [0; 8];
    r.read_exact(&mut bytes).map_err(broken_off)?;
    Ok(f64::from_be_bytes(bytes))
}

/// A text of `len` bytes, or `None` if it is longer than any name. The bytes are consumed either
/// way.
pub(super) fn text(r: &mut impl BufRead, len: u64) -> Result<Option<String>, String> {
    if len > MAX_TEXT {
        skip(r, len)?;
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    r.read_exact(&mut bytes).map_err(broken_off)?;
    Ok(String::from_utf8(bytes).ok())
}

/// The text up to the next line end, or `None` if it is longer than any name.
pub(super) fn line(r: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let mut len = 0u64;
    loop {
        let buffer = r.fill_buf().map_err(broken_off)?;
        if buffer.is_empty() {
            return Err("its pickle ends early".into());
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let part = end.unwrap_or(buffer.len());
        len += part as u64;
        if len <= MAX_TEXT {
            bytes.extend_from_slice(&buffer[..part]);
        }
        r.consume(part + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(match len <= MAX_TEXT {
                true => String::from_utf8(bytes).ok(),
                false => None,
            });
        }
    }
}

pub(super) fn skip(r: &mut impl BufRead, mut len: u64) -> Result<(), String> {
    while len > 0 {
        let available = r.fill_buf().map_err(broken_off)?.len();
        if available == 0 {
            return Err("its pickle ends early".into());
        }
        let step = (available as u64).min(len);
        r.consume(step as usize);
        len -= step;
    }
    Ok(())
}
