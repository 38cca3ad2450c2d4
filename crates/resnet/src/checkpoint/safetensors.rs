//! Safetensors files, read tensor by tensor.
//!
//! We do not use burn-store's reader. It maps the whole file into memory, which counts as the
//! program's memory once read, and crashes the program if the file shrinks meanwhile. It also
//! parses the header again for every tensor.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use burn::store::bridge;
use burn::store::burn_pack::Error as PackError;
use burn::tensor::{BoolStore, DType, Shape, TensorData};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::bytes::aligned;
use super::contents::{Contents, Facts, Format, Value};
use super::error::one_line;
use super::source::Source;

/// The format's own limit on the header.
const MAX_HEADER: u64 = 100_000_000;

/// Key under which this crate's exports state the stem in the metadata, and PyTorch files beside
/// the weights.
pub(super) const STEM: &str = "stem";

/// Reads the header. Values are read on demand.
///
/// # Errors
///
/// The reason.
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
    // This checks that shapes, types and offsets agree, without gaps.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(one_line)?;
    drop(header);
    let start = 8 + header_len;
    let expected = start.saturating_add(metadata.data_len() as u64);
    if expected != file_len {
        return Err(format!(
            "its header describes {expected} bytes, but the file has {file_len}"
        ));
    }

    let source = Arc::new(Source::new(file).map_err(one_line)?);
    let mut tensors = Vec::new();
    for (name, info) in metadata.tensors() {
        let Some(dtype) = dtype(info.dtype) else {
            let kind = format!("of {:?} values", info.dtype);
            tensors.push((name, Value::Unsupported(kind)));
            continue;
        };
        let shape = Shape::from(info.shape.clone());
        let (from, to) = info.data_offsets;
        let source = Arc::clone(&source);
        let declared = shape.clone();
        let read = move || {
            let bytes = source
                .read(start + from as u64, (to - from) as u64)
                .map_err(|e| PackError::IoError(e.to_string()))?;
            TensorData::try_from_bytes(aligned(bytes), declared.clone(), dtype)
                .map_err(|e| PackError::ValidationError(e.to_string()))
        };
        let tensor = bridge::deferred(name.clone(), dtype, shape, None, read);
        tensors.push((name, Value::Tensor(tensor)));
    }
    let facts = metadata.metadata().as_ref().map(|words| Facts {
        epoch: words.get("epoch").and_then(|epoch| epoch.parse().ok()),
        arch: words.get("arch").map(one_line),
        stem: words
            .get(STEM)
            .and_then(|stem| serde_json::from_str(stem).ok()),
        ..Facts::default()
    });
    Ok(Contents {
        tensors,
        facts: facts.unwrap_or_default(),
        format: Format::Safetensors,
    })
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
