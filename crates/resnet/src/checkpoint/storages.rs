//! The values of a PyTorch file.

use std::collections::HashMap;

use super::archive::Entry;
use super::error::one_line;
use super::pickle::TensorAt;
use super::source::Source;

/// Limit on the size of an archive's unpacked entries, relative to the file; `torch.save` does not
/// compress.
pub(super) const MAX_UNPACKING: u64 = 4;

/// The location of the storages' values.
pub(super) enum Storages {
    Archive {
        entries: HashMap<String, Entry>,
        big_endian: bool,
        /// Whether the file's checksums are valid: PyTorch can be configured to write none.
        checksums: bool,
    },
    /// Offsets of the values in the file.
    Legacy(HashMap<String, u64>),
    /// A single pickle has none.
    Nowhere,
}

impl Storages {
    pub(super) fn read(&self, source: &Source, at: &TensorAt) -> Result<Vec<u8>, String> {
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
                    return Err(format!("the checksum of {} does not match", entry.name));
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
