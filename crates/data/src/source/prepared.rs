use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ImageSource;
use super::fingerprint::{Fingerprint, hexadecimal, list_digest};
use super::write::write_renamed;
use crate::Photo;
use crate::{DataError, Result};

/// The first bytes of a prepared file; the last is its version.
const MAGIC: [u8; 8] = *b"e2mcpix\x01";
/// Magic, position and length of the table, SHA-256 of the table.
const HEADER_BYTES: usize = 8 + 8 + 8 + 32;
/// Images decoded at a time per thread. Bounds the memory.
const AHEAD: usize = 4;

/// The images of another source, decoded once into one file. For training that is faster than
/// decoding.
///
/// The pixels are stored unchanged, so augmentations see the same values. An image of 500 x 375
/// pixels takes 562 KB. The file also holds names, labels and classes, so the original images are
/// no longer needed. Unreadable images are recorded, and reading them returns the reason.
#[derive(Debug)]
pub struct Prepared {
    path: PathBuf,
    file: File,
    table: Table,
}

/// Everything but the pixels.
#[derive(Debug, Serialize, Deserialize)]
struct Table {
    name: String,
    classes: Vec<String>,
    labels: Option<Vec<u32>>,
    /// Digest of the source, see [`list_digest`].
    digest: String,
    images: Vec<Image>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Image {
    name: String,
    /// Height, width, channels; zeros where the image could not be read.
    shape: [usize; 3],
    /// CRC-32 of the pixels.
    checksum: u32,
    /// Position of the pixels in the file.
    start: u64,
    problem: Option<String>,
}

impl Prepared {
    /// Decodes all images of `source` into the file `path`, on all threads of rayon's current pool;
    /// `progress` is called with the number of images done. The file has a temporary name until it
    /// is complete.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. An unreadable image is not an error here; see
    /// [`unreadable`](Self::unreadable).
    pub fn create(
        path: &Path,
        source: &dyn ImageSource,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self> {
        write_renamed(path, |file| write(file, source, progress))?;
        Self::open(path)
    }

    /// Opens a prepared file and checks that it is complete.
    ///
    /// # Errors
    ///
    /// [`DataError::Prepared`] if it is damaged, truncated or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let problem = |problem: String| DataError::Prepared {
            path: path.into(),
            problem,
        };
        let read_error = |cause| DataError::Read {
            path: path.into(),
            cause,
        };
        let file = File::open(path).map_err(read_error)?;
        let length = file.metadata().map_err(read_error)?.len();
        let mut header = [0; HEADER_BYTES];
        if length < HEADER_BYTES as u64 {
            return Err(problem(format!("{length} bytes are less than its header")));
        }
        read_at(&file, &mut header, 0).map_err(read_error)?;
        let (magic, rest) = header.split_at(8);
        if magic[..7] != MAGIC[..7] {
            return Err(problem("is not a file of prepared images".into()));
        }
        if magic != MAGIC {
            return Err(problem(format!(
                "has version {}, not {}",
                magic[7], MAGIC[7]
            )));
        }
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&rest[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let (start, bytes) = (word(0), word(8));
        if start.checked_add(bytes) != Some(length) {
            return Err(problem(format!(
                "has {length} bytes, not what its header says"
            )));
        }
        let mut json = vec![0; bytes as usize];
        read_at(&file, &mut json, start).map_err(read_error)?;
        if Sha256::digest(&json).as_slice() != &rest[16..] {
            return Err(problem("its table is damaged".into()));
        }
        let table: Table = serde_json::from_slice(&json)
            .map_err(|error| problem(format!("its table: {error}")))?;
        table.check(start).map_err(problem)?;
        Ok(Self {
            path: path.into(),
            file,
            table,
        })
    }

    /// Opens a prepared file that was made from `source`: the same images by name, with the same
    /// labels.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if the file was made from another source.
    pub fn open_for(path: &Path, source: &dyn ImageSource) -> Result<Self> {
        let prepared = Self::open(path)?;
        if prepared.table.digest != list_digest(source) {
            return Err(DataError::Prepared {
                path: path.into(),
                problem: format!(
                    "was made from other images ({} of {}) than the {} of {}",
                    prepared.len(),
                    prepared.name(),
                    source.len(),
                    source.name()
                ),
            });
        }
        Ok(prepared)
    }

    /// The images that could not be read when the file was made.
    pub fn unreadable(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&index| self.table.images[index].problem.is_some())
    }
}

impl ImageSource for Prepared {
    fn name(&self) -> &str {
        &self.table.name
    }

    fn len(&self) -> usize {
        self.table.images.len()
    }

    fn read(&self, index: usize, photo: &mut Photo) -> Result<()> {
        let image = &self.table.images[index];
        if let Some(problem) = &image.problem {
            return Err(DataError::PreparedWithout {
                path: self.path.clone(),
                name: image.name.clone(),
                problem: problem.clone(),
            });
        }
        // Read rather than mapped: the pixels are copied either way. If the file is truncated
        // meanwhile, reading returns an error, while a mapping would crash the process.
        let pixels = photo.refill(image.shape);
        read_at(&self.file, pixels, image.start).map_err(|cause| DataError::Read {
            path: self.path.clone(),
            cause,
        })?;
        if crc32fast::hash(pixels) != image.checksum {
            return Err(DataError::Prepared {
                path: self.path.clone(),
                problem: format!("the pixels of image {} are damaged", image.name),
            });
        }
        Ok(())
    }

    fn image_name(&self, index: usize) -> String {
        self.table.images[index].name.clone()
    }

    fn labels(&self) -> Option<&[u32]> {
        self.table.labels.as_deref()
    }

    fn classes(&self) -> &[String] {
        &self.table.classes
    }

    /// Includes the images' sizes and checksums.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for image in &self.table.images {
            for side in image.shape {
                hash.update((side as u64).to_le_bytes());
            }
            hash.update(image.checksum.to_le_bytes());
        }
        Fingerprint::new(self, hexadecimal(hash))
    }
}

impl Table {
    /// Whether the table is consistent, given that the pixels end at `end`.
    fn check(&self, end: u64) -> Result<(), String> {
        for image in self.images.iter().filter(|image| image.problem.is_none()) {
            let bytes = image
                .shape
                .iter()
                .try_fold(1_u64, |product, &side| product.checked_mul(side as u64));
            let inside = bytes
                .and_then(|bytes| image.start.checked_add(bytes))
                .is_some_and(|last| last <= end && image.start >= HEADER_BYTES as u64);
            if !inside || image.shape.contains(&0) || !matches!(image.shape[2], 1 | 3) {
                return Err(format!("its table is wrong at image {}", image.name));
            }
        }
        let labels_fit = self.labels.as_ref().is_none_or(|labels| {
            labels.len() == self.images.len()
                && labels
                    .iter()
                    .all(|label| (*label as usize) < self.classes.len())
        });
        labels_fit
            .then_some(())
            .ok_or_else(|| "its labels are wrong".into())
    }
}

fn write(
    file: &mut BufWriter<File>,
    source: &dyn ImageSource,
    progress: &(dyn Fn(usize) + Sync),
) -> io::Result<()> {
    file.write_all(&[0; HEADER_BYTES])?;
    let mut end = HEADER_BYTES as u64;
    let mut images = Vec::with_capacity(source.len());
    let ahead = AHEAD * rayon::current_num_threads();
    let mut photos = vec![Photo::default(); ahead];
    for first in (0..source.len()).step_by(ahead) {
        let problems: Vec<Option<String>> = photos
            .par_iter_mut()
            .enumerate()
            .take(source.len() - first)
            .map(|(offset, photo)| {
                let result = source.read(first + offset, photo);
                result.err().map(|error| error.to_string())
            })
            .collect();
        for (offset, (problem, photo)) in problems.into_iter().zip(&photos).enumerate() {
            let name = source.image_name(first + offset);
            let readable = problem.is_none();
            images.push(Image {
                name,
                shape: if readable { photo.shape() } else { [0; 3] },
                checksum: if readable {
                    crc32fast::hash(photo.pixels())
                } else {
                    0
                },
                start: end,
                problem,
            });
            if readable {
                file.write_all(photo.pixels())?;
                end += photo.pixels().len() as u64;
            }
        }
        progress(images.len());
    }
    let table = serde_json::to_vec(&Table {
        name: source.name().into(),
        classes: source.classes().to_vec(),
        labels: source.labels().map(<[u32]>::to_vec),
        digest: list_digest(source),
        images,
    })?;
    file.write_all(&table)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&MAGIC)?;
    file.write_all(&end.to_le_bytes())?;
    file.write_all(&(table.len() as u64).to_le_bytes())?;
    file.write_all(&Sha256::digest(&table))
}

/// Fills `buffer` from `position`, from any thread.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, position)
}

/// Fills `buffer` from `position`, from any thread.
#[cfg(windows)]
fn read_at(file: &File, mut buffer: &mut [u8], mut position: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, position)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        position += count as u64;
    }
    Ok(())
}
