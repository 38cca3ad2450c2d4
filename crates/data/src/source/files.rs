use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::fingerprint::hexadecimal;
use crate::Photo;
use crate::decode::{DecodeLimits, decode};
use crate::{DataError, Result};

/// Image files beneath one folder. Their paths relative to it are kept in one string.
#[derive(Clone, Debug)]
pub(super) struct ImageFiles {
    root: PathBuf,
    paths: String,
    ends: Vec<usize>,
    limits: DecodeLimits,
}

impl ImageFiles {
    pub(super) fn new<S: AsRef<str>>(
        root: &Path,
        paths: impl IntoIterator<Item = S>,
        limits: DecodeLimits,
    ) -> Self {
        let mut files = Self {
            root: root.into(),
            paths: String::new(),
            ends: Vec::new(),
            limits,
        };
        for path in paths {
            files.paths.push_str(path.as_ref());
            files.ends.push(files.paths.len());
        }
        files
    }

    /// Other files beneath the same folder.
    pub(super) fn of_paths<S: AsRef<str>>(&self, paths: impl IntoIterator<Item = S>) -> Self {
        Self::new(&self.root, paths, self.limits)
    }

    /// SHA-256 of the sizes and modification times of all files, hexadecimal. The files are not
    /// opened.
    pub(super) fn digest(&self) -> String {
        let stamps: Vec<[u8; 24]> = (0..self.len())
            .into_par_iter()
            .map(|index| stamp(&self.root.join(self.path(index))))
            .collect();
        let mut hash = Sha256::new();
        for stamp in stamps {
            hash.update(stamp);
        }
        hexadecimal(hash)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The path of file `index`, relative to the folder, with `/`.
    pub(super) fn path(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.paths[start..self.ends[index]]
    }

    pub(super) fn read(&self, index: usize, photo: &mut Photo) -> Result<()> {
        let path = self.root.join(self.path(index));
        let bytes = read_file(&path, self.limits.max_file_bytes)?;
        decode(&bytes, &self.limits, photo).map_err(|problem| DataError::Image { path, problem })
    }
}

/// A file's size and modification time. A missing file has a unique value.
fn stamp(path: &Path) -> [u8; 24] {
    let mut stamp = [0xff; 24];
    if let Ok(metadata) = std::fs::metadata(path) {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let since = modified.duration_since(SystemTime::UNIX_EPOCH);
        let (size, time) = stamp.split_at_mut(8);
        size.copy_from_slice(&metadata.len().to_le_bytes());
        time.copy_from_slice(&since.unwrap_or_default().as_nanos().to_le_bytes());
    }
    stamp
}

/// The bytes of a regular file. A pipe or device, which could block or never end, is an error.
pub(super) fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let read_error = |cause| DataError::Read {
        path: path.into(),
        cause,
    };
    let metadata = std::fs::metadata(path).map_err(read_error)?;
    if !metadata.is_file() {
        return Err(read_error(io::Error::other("not a regular file")));
    }
    if metadata.len() > max_bytes {
        return Err(DataError::Format {
            path: path.into(),
            expected: format!("at most {max_bytes} bytes"),
            found: format!("{}", metadata.len()),
        });
    }
    std::fs::read(path).map_err(read_error)
}
