//! Files that `torch.save` wrote.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

use burn::store::bridge;
use burn::store::burn_pack::{Error as PackError, Tensor as StoredTensor};
use burn::tensor::{Shape, TensorData};

use super::archive::{self, Entry};
use super::bytes::aligned;
use super::contents::{Contents, Facts, Format, ParameterGroups, Value};
use super::error::{Refusal, one_line};
use super::pickle::{self, Found, Item, Pickle, TensorAt};
use super::source::Source;

/// An archive's entries may unpack to as many times the file's size; `torch.save` does not compress.
const MAX_UNPACKING: u64 = 4;
/// What opens a legacy file, in the encodings of pickle protocols 2 and up, and 0.
const LEGACY_MAGIC: [&[u8]; 2] = [
    &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
    b"119547037146038801333356",
];
/// How far into the file the magic is looked for.
const LEGACY_MAGIC_WITHIN: usize = 64;
/// Where a tar archive's header says so.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;
/// How names of checkpoints end, for a zip archive around one.
const ENDINGS: [&str; 7] = [
    ".pth",
    ".pt",
    ".ckpt",
    ".tar",
    ".bin",
    ".safetensors",
    ".pkl",
];

/// Where the values of storages lie.
enum Storages {
    Archive {
        entries: HashMap<String, Entry>,
        big_endian: bool,
        /// Whether the file's checksums mean something: PyTorch can be told to write none.
        checksums: bool,
    },
    /// Places of the values in the file.
    Legacy(HashMap<String, u64>),
    /// A pickle alone has none.
    Nowhere,
}

/// Reads names, shapes and facts; the tensors' values are read when asked for.
///
/// # Errors
/// Why it is none, damaged or not supported.
pub(super) fn read(path: &Path) -> Result<Contents, Refusal> {
    let open = || File::open(path).map_err(one_line);
    let source = Source::new(open()?).map_err(one_line)?;
    let start = source
        .read(0, source.len().min(TAR_MAGIC.end as u64))
        .map_err(one_line)?;
    let (format, pickle, storages) = if start.starts_with(b"PK") {
        let (pickle, storages) = read_archive(&source)?;
        (Format::Zip, pickle, storages)
    } else if start.get(TAR_MAGIC) == Some(b"ustar") {
        return Err(Refusal::Damaged(
            "a tar archive; if PyTorch before 0.1.10 wrote it, save it again with a newer one, else unpack it".into(),
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

impl Storages {
    fn read(&self, source: &Source, at: &TensorAt) -> Result<Vec<u8>, String> {
        let element = at.storage.element;
        let len = at.span().ok_or("its size overflows")? * element;
        let claimed = at.shape.iter().product::<usize>() as u64 * element;
        if claimed > source.len().saturating_mul(MAX_UNPACKING) {
            return Err(format!("it claims {claimed} bytes"));
        }
        if len == 0 {
            return Ok(Vec::new());
        }
        let from = at.offset * element;
        let key = &at.storage.key;
        let unknown = || format!("its storage {key} is missing");
        let bytes = match self {
            Storages::Archive {
                entries,
                big_endian,
                checksums,
            } => {
                let entry = entries.get(key).ok_or_else(unknown)?;
                let mut bytes = entry.read(source, from, len)?;
                if *checksums && len == entry.size && !entry.has_checksum_of(&bytes) {
                    return Err(format!("the checksum of {} is another", entry.name));
                }
                if *big_endian {
                    bytes
                        .chunks_exact_mut(element as usize)
                        .for_each(<[u8]>::reverse);
                }
                bytes
            }
            Storages::Legacy(places) => {
                let place = places.get(key).ok_or_else(unknown)?;
                source
                    .read(place.saturating_add(from), len)
                    .map_err(one_line)?
            }
            Storages::Nowhere => return Err(unknown()),
        };
        Ok(at.gather(bytes))
    }
}

fn read_archive(source: &Source) -> Result<(Pickle, Storages), Refusal> {
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
            Some(inner) => Refusal::Unsupported {
                what: format!("a zip archive around {}", one_line(&inner.name)),
                way_out: "unzip it and use the file within".into(),
            },
            None => Refusal::NotACheckpoint("a zip archive without a checkpoint in it".into()),
        });
    };
    let folder = main.name.trim_end_matches("data.pkl").to_string();
    let has = |name: &str| {
        let name = format!("{folder}{name}");
        entries.iter().any(|entry| entry.name.starts_with(&name))
    };
    if has("constants.pkl") || has("code/") {
        return Err(Refusal::Unsupported {
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

/// Five pickles (magic number, protocol, system, the object, the storages' keys), then each storage: the number of its
/// elements in eight bytes, and their values.
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
            .map_err(|_| "its storages break off")?;
        let count = u64::from_le_bytes(std::array::from_fn(|i| count[i]));
        places.insert(key, place + 8);
        place = count
            .checked_mul(*element)
            .and_then(|bytes| place.checked_add(8)?.checked_add(bytes))
            .filter(|&end| end <= len)
            .ok_or("its storages break off")?;
    }
    Ok((object, Storages::Legacy(places)))
}

/// Where scripts put the optimiser's state.
const OPTIMIZERS: [&str; 4] = ["optimizer", "optimizer_state_dict", "optim", "opt"];

/// What the dictionary around the weights says.
fn facts(pickle: &Pickle) -> Facts {
    let root = pickle.root;
    let arch = pickle
        .get(root, "arch")
        .and_then(|arch| pickle.text(arch))
        .map(one_line);
    let optimizer = OPTIMIZERS
        .iter()
        .find_map(|key| Some((key.to_string(), pickle.get(root, key)?)))
        .or_else(|| {
            // Lightning has a list of optimisers.
            let states = pickle.get(root, "optimizer_states")?;
            let first = pickle.sequence(states)?.first()?;
            Some(("optimizer_states.0".to_string(), *first))
        });
    Facts {
        epoch: pickle
            .get(root, "epoch")
            .and_then(|epoch| pickle.whole(epoch)),
        arch,
        has_optimizer: optimizer.is_some(),
        groups: optimizer.and_then(|(key, optimizer)| {
            Some(ParameterGroups {
                key,
                parameters: parameter_numbers(pickle, optimizer)?,
            })
        }),
        stem: None,
    }
}

/// The numbers of the optimiser's parameters, group after group: the order in which it was given them.
fn parameter_numbers(pickle: &Pickle, optimizer: Item) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    for &group in pickle.sequence(pickle.get(optimizer, "param_groups")?)? {
        for &number in pickle.sequence(pickle.get(group, "params")?)? {
            numbers.push(pickle.whole(number)?);
        }
    }
    Some(numbers)
}
