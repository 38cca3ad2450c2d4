//! An open file that several threads read at any offset.

use std::fs::File;
use std::io;
#[cfg(not(unix))]
use std::sync::Mutex;

/// A file and its length.
pub(super) struct Source {
    file: File,
    len: u64,
    /// Held while the file's cursor moves.
    #[cfg(not(unix))]
    cursor: Mutex<()>,
}

impl Source {
    pub(super) fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            len: file.metadata()?.len(),
            file,
            #[cfg(not(unix))]
            cursor: Mutex::new(()),
        })
    }

    /// The file's length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads `len` bytes from `start`. Allocates no memory for bytes beyond the end of the file.
    pub(super) fn read(&self, start: u64, len: u64) -> io::Result<Vec<u8>> {
        if start.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("bytes {start} to +{len} lie beyond the end of the file"),
            ));
        }
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes, start)?;
        Ok(bytes)
    }

    #[cfg(unix)]
    fn fill(&self, bytes: &mut [u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, start)
    }

    #[cfg(not(unix))]
    fn fill(&self, bytes: &mut [u8], start: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let _held = self.cursor.lock().unwrap_or_else(|e| e.into_inner());
        (&self.file).seek(SeekFrom::Start(start))?;
        (&self.file).read_exact(bytes)
    }
}
