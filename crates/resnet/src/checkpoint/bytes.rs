//! Values of tensors in memory.

use burn::tensor::Bytes;

/// What every element type's alignment divides.
const ALIGNMENT: usize = 16;

/// Takes the memory over where it happens to be aligned for every element type, as what the system allocates is;
/// [`Bytes::from_bytes_vec`] copies a `Vec<u8>` always.
pub(super) fn aligned(bytes: Vec<u8>) -> Bytes {
    match bytes.as_ptr().align_offset(ALIGNMENT) {
        0 => Bytes::from_elems(bytes),
        _ => Bytes::from_bytes_vec(bytes),
    }
}
