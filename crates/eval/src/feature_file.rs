//! Features of any number of images, written to a file as they are computed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::replaced::{sync_folder, temporary_name, write_error};
use crate::{EvalError, Result};

/// Names in the file.
pub(crate) const FEATURES: &str = "features";
pub(crate) const LABELS: &str = "labels";
pub(crate) const FILE_NAMES: &str = "file_names";
pub(crate) const CLASSES: &str = "classes";

/// A safetensors file of features, written row by row, so that a data set's features need not fit
/// in memory.
///
/// It holds `features` `[n, d]` (f32), `labels` `[n]` (i64) if there are any, and `file_names`
/// (u8): the names in UTF-8, separated by zero bytes. In Python:
/// `bytes(t["file_names"].tolist()).decode().split("\0")`. The class names are in the metadata
/// under `classes`, as JSON. Rows, labels and names are in the order of the images.
///
/// The file is written under a temporary name (with `.tmp` appended); [`finish`](Self::finish)
/// syncs and renames it. Dropping it before deletes the temporary file. If the process is killed,
/// the next run overwrites the temporary file. Equal contents give equal bytes.
/// [`StoredFeatures::read`](crate::StoredFeatures::read) reads it.
#[derive(Debug)]
pub struct FeatureFile {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    images: usize,
    dims: usize,
    /// Values written so far.
    written: usize,
    /// The names, written after the features.
    names: String,
    finished: bool,
}

impl FeatureFile {
    /// Begins a file for images with these names and `dims` features each. `labels` index
    /// `classes`.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] without images, [`EvalError::RowCount`] if the number of labels is not
    /// the number of images, [`EvalError::LabelOutOfRange`] if a label has no class, and
    /// [`EvalError::Write`] if the file cannot be created.
    pub fn create(
        path: impl AsRef<Path>,
        names: &[String],
        labels: Option<&[u32]>,
        classes: &[String],
        dims: usize,
    ) -> Result<Self> {
        let images = names.len();
        if images == 0 {
            return Err(EvalError::Empty {
                what: "images to take features of",
            });
        }
        if let Some(labels) = labels.filter(|labels| labels.len() != images) {
            return Err(EvalError::RowCount {
                values: images * dims,
                rows: labels.len(),
                dims,
            });
        }
        let out_of_range = |&label: &u32| label as usize >= classes.len();
        if let Some((row, &label)) = labels.and_then(|labels| {
            labels
                .iter()
                .enumerate()
                .find(|(_, label)| out_of_range(label))
        }) {
            return Err(EvalError::LabelOutOfRange {
                row,
                label,
                classes: classes.len(),
            });
        }

        // Labels first: eight-byte values must lie at multiples of eight.
        let labels: Option<Vec<u8>> = labels.map(|labels| {
            labels
                .iter()
                .flat_map(|&l| i64::from(l).to_le_bytes())
                .collect()
        });
        let names = names.join("\0");
        let mut header = BTreeMap::new();
        let mut end = 0;
        let mut place = |dtype: &str, shape: &[usize], bytes: usize| {
            let start = end;
            end += bytes;
            json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]})
        };
        if let Some(labels) = &labels {
            header.insert(LABELS, place("I64", &[images], labels.len()));
        }
        header.insert(FEATURES, place("F32", &[images, dims], images * dims * 4));
        header.insert(FILE_NAMES, place("U8", &[names.len()], names.len()));
        let classes = serde_json::to_string(classes).expect("names are JSON");
        header.insert("__metadata__", json!({"format": "pt", CLASSES: classes}));
        let mut header = serde_json::to_vec(&header).expect("the header is JSON");
        // Spaces at the end align the values.
        header.resize(header.len().next_multiple_of(8), b' ');

        let path = path.as_ref().to_path_buf();
        let temporary = temporary_name(&path);
        let file = File::create(&temporary).map_err(|e| write_error(&path, e))?;
        let mut this = Self {
            path,
            temporary,
            file: BufWriter::new(file),
            images,
            dims,
            written: 0,
            names,
            finished: false,
        };
        this.write(&(header.len() as u64).to_le_bytes())?;
        this.write(&header)?;
        this.write(&labels.unwrap_or_default())?;
        Ok(this)
    }

    /// Appends rows, `[any, d]` row-major.
    ///
    /// # Errors
    ///
    /// [`EvalError::NonFinite`] for the first image with a feature that is NaN or infinite, and
    /// [`EvalError::Write`].
    ///
    /// # Panics
    ///
    /// If the values do not fill whole rows, or there are more rows than images.
    pub fn append(&mut self, rows: &[f32]) -> Result<()> {
        assert!(
            rows.len().is_multiple_of(self.dims)
                && self.written + rows.len() <= self.images * self.dims,
            "FeatureFile: {} values after {} do not fit {} rows of {}",
            rows.len(),
            self.written,
            self.images,
            self.dims
        );
        if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
            return Err(EvalError::NonFinite {
                row: (self.written + at) / self.dims,
                column: at % self.dims,
                value: rows[at],
            });
        }
        for value in rows {
            self.file
                .write_all(&value.to_le_bytes())
                .map_err(|e| write_error(&self.path, e))?;
        }
        self.written += rows.len();
        Ok(())
    }

    /// Completes the file and renames it to its final name. An existing file is replaced.
    ///
    /// # Errors
    ///
    /// [`EvalError::Write`].
    ///
    /// # Panics
    ///
    /// If rows are missing.
    pub fn finish(mut self) -> Result<()> {
        assert_eq!(
            self.written,
            self.images * self.dims,
            "FeatureFile: rows are missing"
        );
        let names = std::mem::take(&mut self.names);
        self.write(names.as_bytes())?;
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.temporary, &self.path))
            .and_then(|()| sync_folder(&self.path))
            .map_err(|e| write_error(&self.path, e))?;
        self.finished = true;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| write_error(&self.path, e))
    }
}

impl Drop for FeatureFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
