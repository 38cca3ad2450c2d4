//! Values of tensors in memory.

use burn::tensor::Bytes;

/// A multiple of every element type's alignment.
const ALIGNMENT: usize = 16;

/// Reuses the vector's memory if it is aligned for every element type, as the system's allocations
/// are. [`Bytes::from_bytes_vec`] always copies.
pub(super) fn aligned(bytes: Vec<u8>) -> Bytes {
    match bytes.as_ptr().align_offset(ALIGNMENT) {
        0 => Bytes::from_elems(bytes),
        _ => Bytes::from_bytes_vec(bytes),
    }
}
