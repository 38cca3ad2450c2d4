use std::borrow::Cow;

/// The text of a list: UTF-8, or UTF-16 with a byte-order mark, as written by some Windows
/// programs.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], word: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| word([pair[0], pair[1]]))
            .collect();
        Cow::Owned(String::from_utf16_lossy(&words))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8_lossy(without_mark(bytes)),
    }
}

/// The bytes without the byte-order mark of UTF-8.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The lines with their numbers, counted from 1. Empty lines and comments, which start with `#`,
/// are skipped.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .map(str::trim)
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The possible names of a file in a line: the whole line, or the part before a label. A name may
/// have spaces.
pub(super) fn names(line: &str) -> impl Iterator<Item = String> {
    let before = |end: Option<usize>| end.map(|end| &line[..end]);
    [
        Some(line),
        before(line.find('\t')),
        before(line.rfind(',')),
        before(line.rfind(char::is_whitespace)),
        before(line.find(',')),
        before(line.find(char::is_whitespace)),
    ]
    .into_iter()
    .flatten()
    .map(|name| slashed(name.trim().trim_matches('"')))
}

/// A path with `/` between its parts and without `./` at its start.
pub(super) fn slashed(path: &str) -> String {
    let path = path.replace('\\', "/");
    path.trim_start_matches("./").into()
}
