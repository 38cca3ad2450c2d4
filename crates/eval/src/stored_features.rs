use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::feature_file::{CLASSES, FEATURES, FILE_NAMES, LABELS};
use crate::{EvalError, Features, Result};

/// [`FeatureFile`](crate::FeatureFile) writes no larger header.
const LARGEST_HEADER: u64 = 100 << 20;
/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// Features read back from a [`FeatureFile`](crate::FeatureFile), with the names of images and
/// classes.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFeatures {
    /// Features and labels, in the order of the images.
    pub features: Features,
    /// Name of each image.
    pub names: Vec<String>,
    /// Name of each class.
    pub classes: Vec<String>,
}

impl StoredFeatures {
    /// Reads a file whose images have labels, checking every length and value.
    ///
    /// # Errors
    ///
    /// [`EvalError::Read`] if the file cannot be read, [`EvalError::NoLabels`] if it has no labels,
    /// and [`EvalError::DamagedFile`] if it is truncated or damaged, or not a file of features.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        read(path).map_err(|problem| problem.of(path))
    }

    /// Shape `[n, d]` of a file's features, without reading them. Reading takes 4 n d bytes of
    /// memory.
    ///
    /// # Errors
    ///
    /// The errors of [`read`](Self::read) that the header reveals.
    pub fn shape(path: impl AsRef<Path>) -> Result<[usize; 2]> {
        let path = path.as_ref();
        let shape = Contents::open(path).and_then(|file| file.tensor(FEATURES, Dtype::F32));
        let (_, shape) = shape.map_err(|problem| problem.of(path))?;
        Ok(shape)
    }
}

/// Why a file was not read.
enum Problem {
    Io(io::Error),
    NoLabels,
    Damaged(String),
}

impl Problem {
    fn of(self, path: &Path) -> EvalError {
        let path = path.display().to_string();
        match self {
            Self::Io(error) => EvalError::Read {
                path,
                reason: error.to_string(),
            },
            Self::NoLabels => EvalError::NoLabels { path },
            Self::Damaged(problem) => EvalError::DamagedFile { path, problem },
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn damaged(problem: impl Into<String>) -> Problem {
    Problem::Damaged(problem.into())
}

fn read(path: &Path) -> Result<StoredFeatures, Problem> {
    let mut file = Contents::open(path)?;
    let (info, [n, dims]) = file.tensor(FEATURES, Dtype::F32)?;
    let values = file.read(&info, |bytes: [u8; 4]| Some(f32::from_le_bytes(bytes)))?;

    if file.metadata.info(LABELS).is_none() {
        return Err(Problem::NoLabels);
    }
    let (info, [count]) = file.tensor(LABELS, Dtype::I64)?;
    let labels = file.read(&info, |bytes: [u8; 8]| {
        u32::try_from(i64::from_le_bytes(bytes)).ok()
    })?;
    let (info, [_]) = file.tensor(FILE_NAMES, Dtype::U8)?;
    let names = file.read(&info, |[byte]: [u8; 1]| Some(byte))?;
    let names = String::from_utf8(names).map_err(|_| damaged("its names are not UTF-8"))?;
    let names: Vec<String> = names.split('\0').map(str::to_owned).collect();
    if count != n || names.len() != n {
        let names = names.len();
        return Err(damaged(format!(
            "it has features of {n} images, {count} labels and {names} names"
        )));
    }
    let classes = file.metadata.metadata().as_ref();
    let classes: Vec<String> = classes
        .and_then(|metadata| serde_json::from_str(metadata.get(CLASSES)?).ok())
        .ok_or_else(|| damaged("its header names no classes"))?;
    let features = Features::new(values, dims, labels, classes.len());
    Ok(StoredFeatures {
        features: features.map_err(|error| damaged(error.to_string()))?,
        names,
        classes,
    })
}

/// An open file, with its header.
struct Contents {
    file: BufReader<File>,
    metadata: Metadata,
    /// Start of the values.
    start: u64,
}

impl Contents {
    fn open(path: &Path) -> Result<Self, Problem> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut length = [0; 8];
        if bytes < 8 {
            return Err(damaged(format!("it ends after {bytes} bytes")));
        }
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER.min(bytes - 8) {
            return Err(damaged("its header is longer than the file, or no header"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| damaged(format!("its header cannot be read ({error})")))?;
        let start = 8 + length;
        let expected = start.checked_add(metadata.data_len() as u64);
        if expected != Some(bytes) {
            let expected = expected.unwrap_or(u64::MAX);
            return Err(damaged(format!(
                "it has {bytes} bytes where its header announces {expected}"
            )));
        }
        Ok(Self {
            file,
            metadata,
            start,
        })
    }

    /// Place and shape of a tensor with this type and rank.
    fn tensor<const RANK: usize>(
        &self,
        name: &str,
        dtype: Dtype,
    ) -> Result<(TensorInfo, [usize; RANK]), Problem> {
        let Some(info) = self.metadata.info(name) else {
            return Err(damaged(format!("it has no tensor `{name}`")));
        };
        match <[usize; RANK]>::try_from(info.shape.as_slice()) {
            Ok(shape) if info.dtype == dtype => Ok((info.clone(), shape)),
            _ => Err(damaged(format!(
                "its `{name}` is {:?} of shape {:?}",
                info.dtype, info.shape
            ))),
        }
    }

    /// The values of a tensor, N bytes each. `value` returns `None` for a value out of range.
    fn read<const N: usize, T>(
        &mut self,
        info: &TensorInfo,
        value: impl Fn([u8; N]) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let (begin, end) = info.data_offsets;
        self.file.seek(SeekFrom::Start(self.start + begin as u64))?;
        let mut values = Vec::with_capacity((end - begin) / N);
        let mut piece = vec![0; PIECE.min(end - begin)];
        let mut left = end - begin;
        while left > 0 {
            let piece = &mut piece[..left.min(PIECE)];
            self.file.read_exact(piece)?;
            let (whole, _) = piece.as_chunks::<N>();
            for &bytes in whole {
                let value = value(bytes).ok_or_else(|| damaged("a label is out of range"))?;
                values.push(value);
            }
            left -= piece.len();
        }
        Ok(values)
    }
}
