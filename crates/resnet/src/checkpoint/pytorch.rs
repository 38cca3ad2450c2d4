//! Files written by `torch.save`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

use burn::store::bridge;
use burn::store::burn_pack::{Error as PackError, Tensor as StoredTensor};
use burn::tensor::{Shape, TensorData};

use super::archive;
use super::bytes::aligned;
use super::contents::{Contents, Format, Value};
use super::error::{Rejection, one_line};
use super::facts::facts;
use super::pickle::{self, Found, Item, Pickle, TensorAt};
use super::source::Source;
use super::storages::{MAX_UNPACKING, Storages};

/// The magic number of a legacy file, in the encodings of pickle protocols 2 and up, and 0.
const LEGACY_MAGIC: [&[u8]; 2] = [
    &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
    b"119547037146038801333356",
];
/// The magic number is expected within this many bytes.
const LEGACY_MAGIC_WITHIN: usize = 64;
/// Position of the magic in a tar archive's header.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;
/// Endings of checkpoint names, to recognize a zip archive around one.
const ENDINGS: [&str; 7] = [
    ".pth",
    ".pt",
    ".ckpt",
    ".tar",
    ".bin",
    ".safetensors",
    ".pkl",
];

/// Reads names, shapes and facts. Values are read on demand.
///
/// # Errors
///
/// If the file is not a checkpoint, damaged or not supported.
pub(super) fn read(path: &Path) -> Result<Contents, Rejection> {
    let open = || File::open(path).map_err(one_line);
    let source = Source::new(open()?).map_err(one_line)?;
    let start = source
        .read(0, source.len().min(TAR_MAGIC.end as u64))
        .map_err(one_line)?;
    let (format, pickle, storages) = if start.starts_with(b"PK") {
        let (pickle, storages) = read_archive(&source)?;
        (Format::Zip, pickle, storages)
    } else if start.get(TAR_MAGIC) == Some(b"ustar") {
        return Err(Rejection::Damaged(
            "a tar archive; if PyTorch before 0.1.10 wrote it, save it again with a newer one, \
             else unpack it"
                .into(),
        ));
    } else {
        let window = &start[..start.len().min(LEGACY_MAGIC_WITHIN)];
        let legacy = LEGACY_MAGIC
            .iter()
            .any(|magic| window.windows(magic.len()).any(|bytes| bytes == *magic));
        let mut reader = BufReader::new(open()?);
        match legacy {
            true => {
                let (pickle, storages) = read_legacy(&mut reader, source.len())?;
                (Format::Legacy, pickle, storages)
            }
            false => {
                let pickle = pickle::read(&mut reader, source.len())?;
                (Format::Pickle, pickle, Storages::Nowhere)
            }
        }
    };
    let context = Arc::new((source, storages));
    let tensors = pickle::tensors(&pickle)?
        .into_iter()
        .map(|(name, found)| {
            let value = match found {
                Found::Tensor(at) => Value::Tensor(stored(&name, at, &context)),
                Found::Unsupported(kind) => Value::Unsupported(kind),
            };
            (name, value)
        })
        .collect();
    Ok(Contents {
        tensors,
        facts: facts(&pickle),
        format,
    })
}

/// The tensor for burn-store, with its values unread.
fn stored(name: &str, at: TensorAt, context: &Arc<(Source, Storages)>) -> StoredTensor {
    let (dtype, shape) = (at.dtype, Shape::from(at.shape.clone()));
    let declared = shape.clone();
    let context = Arc::clone(context);
    bridge::deferred(name.to_string(), dtype, shape, None, move || {
        let (source, storages) = &*context;
        let bytes = storages
            .read(source, &at)
            .map_err(PackError::ValidationError)?;
        TensorData::try_from_bytes(aligned(bytes), declared.clone(), dtype)
            .map_err(|e| PackError::ValidationError(e.to_string()))
    })
}

fn read_archive(source: &Source) -> Result<(Pickle, Storages), Rejection> {
    let entries = archive::entries(source)?;
    let Some(main) = entries
        .iter()
        .find(|entry| entry.name.ends_with("/data.pkl") || entry.name == "data.pkl")
    else {
        let inner = entries.iter().find(|entry| {
            let name = entry.name.to_lowercase();
            ENDINGS.iter().any(|ending| name.ends_with(ending))
        });
        return Err(match inner {
            Some(inner) => Rejection::Unsupported {
                what: format!("a zip archive around {}", one_line(&inner.name)),
                way_out: "unzip it and use the file within".into(),
            },
            None => Rejection::NotACheckpoint("a zip archive without a checkpoint in it".into()),
        });
    };
    let folder = main.name.trim_end_matches("data.pkl").to_string();
    let has = |name: &str| {
        let name = format!("{folder}{name}");
        entries.iter().any(|entry| entry.name.starts_with(&name))
    };
    if has("constants.pkl") || has("code/") {
        return Err(Rejection::Unsupported {
            what: "TorchScript".into(),
            way_out: "in Python, save torch.jit.load(file).state_dict() with torch.save".into(),
        });
    }
    let most = source.len().saturating_mul(MAX_UNPACKING);
    if main.size > most {
        return Err(format!(
            "its data.pkl claims {} bytes, but the file has {}",
            main.size,
            source.len()
        )
        .into());
    }
    let unpacked = entries
        .iter()
        .fold(0u64, |sum, entry| sum.saturating_add(entry.size));
    if unpacked > most {
        return Err(format!(
            "its entries claim {unpacked} bytes, but the file has {}",
            source.len()
        )
        .into());
    }
    let bytes = main.read(source, 0, main.size)?;
    let pickle = pickle::read(&mut bytes.as_slice(), main.size)?;
    let checksums = main.has_checksum_of(&bytes);
    let byte_order = entries
        .iter()
        .find(|entry| entry.name == format!("{folder}byteorder") && entry.size <= 16)
        .map(|entry| entry.read(source, 0, entry.size))
        .transpose()?;
    let data = format!("{folder}data/");
    let entries = entries
        .into_iter()
        .filter_map(|entry| {
            let key = entry.name.strip_prefix(&data)?.to_string();
            Some((key, entry))
        })
        .collect();
    let storages = Storages::Archive {
        entries,
        big_endian: byte_order.is_some_and(|order| order.starts_with(b"big")),
        checksums,
    };
    Ok((pickle, storages))
}

/// Five pickles (magic number, protocol, system, the object, the storages' keys), then each
/// storage: the number of its elements in eight bytes, and their values.
fn read_legacy(reader: &mut BufReader<File>, len: u64) -> Result<(Pickle, Storages), String> {
    for _ in 0..3 {
        pickle::read(reader, len)?;
    }
    let object = pickle::read(reader, len)?;
    let keys = pickle::read(reader, len)?;
    let elements: HashMap<String, u64> = object
        .storages()
        .map(|storage| (storage.key, storage.element))
        .collect();
    let mut place = reader.stream_position().map_err(one_line)?;
    let source = Source::new(reader.get_ref().try_clone().map_err(one_line)?).map_err(one_line)?;
    let mut places = HashMap::new();
    for &key in keys.sequence(keys.root).unwrap_or_default() {
        let key = match key {
            Item::Int(key) => key.to_string(),
            key => keys.text(key).unwrap_or_default().to_string(),
        };
        let element = elements
            .get(&key)
            .ok_or_else(|| format!("no tensor has the storage {key}"))?;
        let count = source
            .read(place, 8)
            .map_err(|_| "its storages end early")?;
        let count = u64::from_le_bytes(std::array::from_fn(|i| count[i]));
        places.insert(key, place + 8);
        place = count
            .checked_mul(*element)
            .and_then(|bytes| place.checked_add(8)?.checked_add(bytes))
            .filter(|&end| end <= len)
            .ok_or("its storages end early")?;
    }
    Ok((object, Storages::Legacy(places)))
}
