//! Safetensors files, read tensor by tensor.
//!
//! burn-store maps the whole file into memory, which counts as the program's memory once read and ends it where the file
//! shrinks meanwhile, and it parses the header anew for every tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::store::bridge;
use burn::store::burn_pack::Error as PackError;
use burn::tensor::{BoolStore, DType, Shape, TensorData};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::bytes::aligned;
use super::contents::{Contents, Facts, Format};
use super::error::one_line;
use super::pickle::KeyOrder;

/// The format's own limit on the header.
const MAX_HEADER: u64 = 100_000_000;

/// Reads the header; the tensors' values are read when asked for.
///
/// # Errors
/// A reason in words.
pub(super) fn read(path: &Path) -> Result<Contents, String> {
    let mut file = File::open(path).map_err(one_line)?;
    let file_len = file.metadata().map_err(one_line)?.len();
    let mut header_len = [0; 8];
    file.read_exact(&mut header_len).map_err(one_line)?;
    let header_len = u64::from_le_bytes(header_len);
    if header_len > MAX_HEADER || header_len > file_len - 8 {
        return Err(format!(
            "its header claims {header_len} bytes, but the file has {file_len}"
        ));
    }
    let mut header = vec![0; header_len as usize];
    file.read_exact(&mut header).map_err(one_line)?;
    // This checks that shapes, types and places agree, without gaps.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(one_line)?;
    drop(header);
    let start = 8 + header_len;
    let expected = start.saturating_add(metadata.data_len() as u64);
    if expected != file_len {
        return Err(format!(
            "its header describes {expected} bytes, but the file has {file_len}"
        ));
    }

    let source = Arc::new(Source {
        file,
        cursor: Mutex::new(()),
    });
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let dtype = dtype(info.dtype)
            .ok_or_else(|| format!("tensor {name} holds {:?} values", info.dtype))?;
        let shape = Shape::from(info.shape.clone());
        let (from, to) = info.data_offsets;
        let source = Arc::clone(&source);
        let declared = shape.clone();
        let read = move || {
            let bytes = source
                .read(start + from as u64, to - from)
                .map_err(|e| PackError::IoError(e.to_string()))?;
            TensorData::try_from_bytes(aligned(bytes), declared.clone(), dtype)
                .map_err(|e| PackError::ValidationError(e.to_string()))
        };
        tensors.insert(
            name.clone(),
            bridge::deferred(name, dtype, shape, None, read),
        );
    }
    let facts = metadata.metadata().as_ref().map(|words| Facts {
        epoch: words.get("epoch").and_then(|epoch| epoch.parse().ok()),
        arch: words.get("arch").map(one_line),
        groups: None,
    });
    Ok(Contents {
        tensors,
        order: KeyOrder::new(),
        facts: facts.unwrap_or_default(),
        format: Format::Safetensors,
    })
}

/// An open file, read from several threads.
struct Source {
    file: File,
    /// Held by whoever moves the file's cursor.
    cursor: Mutex<()>,
}

impl Source {
    fn read(&self, start: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        if cfg!(unix) {
            #[cfg(unix)]
            std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut bytes, start)?;
        } else {
            let _held = self.cursor.lock().unwrap_or_else(|e| e.into_inner());
            (&self.file).seek(SeekFrom::Start(start))?;
            (&self.file).read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}
