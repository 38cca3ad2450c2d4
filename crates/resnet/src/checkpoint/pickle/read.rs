use std::io::{self, BufRead, Read};

pub(super) fn broken_off(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "its pickle breaks off".into(),
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

pub(super) fn line_number(r: &mut impl BufRead) -> Result<u32, String> {
    let mut line = String::new();
    r.by_ref()
        .take(16)
        .read_line(&mut line)
        .map_err(broken_off)?;
    line.trim_end()
        .parse()
        .map_err(|_| "its pickle has a memo index that is no number".into())
}

pub(super) fn skip(r: &mut impl BufRead, mut len: u64) -> Result<(), String> {
    while len > 0 {
        let available = r.fill_buf().map_err(broken_off)?.len();
        if available == 0 {
            return Err("its pickle breaks off".into());
        }
        let step = (available as u64).min(len);
        r.consume(step as usize);
        len -= step;
    }
    Ok(())
}

/// Skips to after the next line end; returns the bytes skipped.
pub(super) fn skip_line(r: &mut impl BufRead) -> Result<u64, String> {
    let mut skipped = 0;
    loop {
        let buffer = r.fill_buf().map_err(broken_off)?;
        if buffer.is_empty() {
            return Err("its pickle breaks off".into());
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let step = end.map_or(buffer.len(), |end| end + 1);
        r.consume(step);
        skipped += step as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}
