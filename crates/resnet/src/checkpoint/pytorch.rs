//! Files that `torch.save` wrote, through the reader of burn-store.
//!
//! That reader checks the lengths that a file states against the file, and executes nothing. What it leaves open is
//! closed here before it starts: pickles that ask for far more memory than the file has bytes ([`pickle`](super::pickle)),
//! and archives whose entries unpack to many times the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use burn::store::bridge;
use burn::store::burn_pack::{Error as PackError, Tensor as StoredTensor};
use burn::store::pytorch_reader::{self, PickleValue, PytorchReader};
use burn::tensor::{BoolStore, DType, Shape, TensorData};

use super::bytes::aligned;
use super::contents::{Contents, Facts, Format, ParameterGroups};
use super::error::one_line;
use super::pickle::{self, KeyOrder};

/// The largest `data.pkl` of an archive: about 150 KB for VICReg's full checkpoint.
const MAX_PICKLE: u64 = 64 << 20;
/// An archive's entries may unpack to as many times the file's size; `torch.save` does not compress.
const MAX_UNPACKING: u64 = 4;
/// What opens a legacy file, in the encodings of pickle protocols 2 and up, and 0.
const LEGACY_MAGIC: [&[u8]; 2] = [
    &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
    b"119547037146038801333356",
];
/// How far into the file the magic is looked for.
const LEGACY_MAGIC_WITHIN: usize = 64;
/// Pickles at the start of a legacy file: magic number, protocol, system, the object, the storages' keys.
const LEGACY_PICKLES: usize = 5;
/// Where a tar archive's header says so.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// Reads names, shapes and facts; the tensors' values are read when asked for.
///
/// # Errors
/// A reason in words.
pub(super) fn read(path: &Path) -> Result<Contents, String> {
    let (format, order) = inspect(path)?;
    let tensors: BTreeMap<_, _> = PytorchReader::new(path)
        .map_err(one_line)?
        .into_tensors()
        .into_iter()
        .map(|(name, tensor)| (name, stored(tensor)))
        .collect();
    let facts =
        PytorchReader::read_pickle_data(path, None).map_or_else(|_| Facts::default(), facts);
    Ok(Contents {
        tensors,
        order,
        facts,
        format,
    })
}

/// The tensor for burn-store, with its values unread. burn-store's own bridge copies every tensor once more when it is read,
/// since it cannot know that the reader's memory is aligned.
fn stored(tensor: pytorch_reader::Tensor) -> StoredTensor {
    let (name, dtype, shape, read) = tensor.into_parts();
    let (dtype, shape) = (burn_dtype(dtype), Shape::from(shape));
    let declared = shape.clone();
    bridge::deferred(name, dtype, shape, None, move || {
        let bytes = read().map_err(|e| PackError::ValidationError(e.to_string()))?;
        TensorData::try_from_bytes(aligned(bytes), declared.clone(), dtype)
            .map_err(|e| PackError::ValidationError(e.to_string()))
    })
}

fn burn_dtype(dtype: pytorch_reader::DType) -> DType {
    use pytorch_reader::DType as Torch;
    match dtype {
        Torch::F64 => DType::F64,
        Torch::F32 => DType::F32,
        Torch::F16 => DType::F16,
        Torch::BF16 => DType::BF16,
        Torch::I64 => DType::I64,
        Torch::I32 => DType::I32,
        Torch::I16 => DType::I16,
        Torch::I8 => DType::I8,
        Torch::U64 => DType::U64,
        Torch::U32 => DType::U32,
        Torch::U16 => DType::U16,
        Torch::U8 => DType::U8,
        Torch::Bool => DType::Bool(BoolStore::Native),
    }
}

/// Weighs the file's pickles, and notes the order of their keys.
fn inspect(path: &Path) -> Result<(Format, KeyOrder), String> {
    let open = || File::open(path).map_err(one_line);
    let mut start = Vec::new();
    open()?
        .take(TAR_MAGIC.end as u64)
        .read_to_end(&mut start)
        .map_err(one_line)?;
    let mut order = KeyOrder::new();
    if start.starts_with(b"PK") {
        inspect_archive(open()?, &mut order)?;
        return Ok((Format::Zip, order));
    }
    if start.get(TAR_MAGIC) == Some(b"ustar") {
        return Err(
            "a tar archive; if PyTorch before 0.1.10 wrote it, save it again with a newer one, else unpack it".into(),
        );
    }
    let window = &start[..start.len().min(LEGACY_MAGIC_WITHIN)];
    let legacy = LEGACY_MAGIC
        .iter()
        .any(|magic| window.windows(magic.len()).any(|bytes| bytes == *magic));
    let mut reader = BufReader::new(open()?);
    for _ in 0..if legacy { LEGACY_PICKLES } else { 1 } {
        pickle::follow(&mut reader, &mut order)?;
    }
    match legacy {
        true => Ok((Format::Legacy, order)),
        false => Ok((Format::Pickle, order)),
    }
}

fn inspect_archive(file: File, order: &mut KeyOrder) -> Result<(), String> {
    let file_len = file.metadata().map_err(one_line)?.len();
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(one_line)?;
    let mut unpacked = 0u64;
    let mut pickles = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(one_line)?;
        unpacked = unpacked.saturating_add(entry.size());
        if entry.name().map_err(one_line)?.ends_with("data.pkl") {
            if entry.size() > MAX_PICKLE {
                return Err(format!("its data.pkl claims {} bytes", entry.size()));
            }
            pickles.push(index);
        }
    }
    if unpacked > file_len.saturating_mul(MAX_UNPACKING) {
        return Err(format!(
            "its entries claim {unpacked} bytes, but the file has {file_len}"
        ));
    }
    for index in pickles {
        let entry = archive.by_index(index).map_err(one_line)?;
        pickle::follow(&mut BufReader::new(entry), order)?;
    }
    Ok(())
}

/// What the dictionary around the weights says.
fn facts(root: PickleValue) -> Facts {
    let PickleValue::Dict(mut root) = root else {
        return Facts::default();
    };
    let epoch = match root.get("epoch") {
        Some(PickleValue::Int(epoch)) => u64::try_from(*epoch).ok(),
        _ => None,
    };
    let arch = match root.remove("arch") {
        Some(PickleValue::String(arch)) => Some(one_line(arch)),
        _ => None,
    };
    let optimizer = match root.remove("optimizer") {
        Some(optimizer) => Some(("optimizer", optimizer)),
        // Lightning has a list of optimisers.
        None => match root.remove("optimizer_states") {
            Some(PickleValue::List(states)) => states
                .into_iter()
                .next()
                .map(|first| ("optimizer_states.0", first)),
            _ => None,
        },
    };
    Facts {
        epoch,
        arch,
        groups: optimizer.and_then(|(key, optimizer)| {
            Some(ParameterGroups {
                key: key.to_string(),
                parameters: parameter_numbers(optimizer)?,
            })
        }),
    }
}

/// The numbers of the optimiser's parameters, group after group: the order in which it was given them.
fn parameter_numbers(optimizer: PickleValue) -> Option<Vec<u64>> {
    let PickleValue::Dict(mut optimizer) = optimizer else {
        return None;
    };
    let PickleValue::List(groups) = optimizer.remove("param_groups")? else {
        return None;
    };
    let mut numbers = Vec::new();
    for group in groups {
        let PickleValue::Dict(mut group) = group else {
            return None;
        };
        let PickleValue::List(parameters) = group.remove("params")? else {
            return None;
        };
        for number in parameters {
            let PickleValue::Int(number) = number else {
                return None;
            };
            numbers.push(u64::try_from(number).ok()?);
        }
    }
    Some(numbers)
}
