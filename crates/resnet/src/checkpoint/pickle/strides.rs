//! Positions of a tensor's elements in its storage.

use super::tensor::TensorAt;

impl TensorAt {
    /// Number of elements from the first to the last in the storage; 0 for an empty tensor.
    pub(in super::super) fn span(&self) -> Option<u64> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let mut last = 0u64;
        for (&size, &stride) in self.shape.iter().zip(&self.stride) {
            last = last.checked_add((size as u64 - 1).checked_mul(stride as u64)?)?;
        }
        last.checked_add(1)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let end = self.span().and_then(|span| {
            span.checked_add(self.offset)?
                .checked_mul(self.storage.element)
        });
        let fits = end.is_some_and(|end| end <= self.storage.len) || self.shape.contains(&0);
        let counted = self
            .shape
            .iter()
            .try_fold(1usize, |count, &size| count.checked_mul(size))
            .and_then(|count| count.checked_mul(self.storage.element as usize));
        match fits && counted.is_some() && self.shape.len() == self.stride.len() {
            true => Ok(()),
            false => Err(format!(
                "a tensor of shape {:?} and stride {:?} does not fit its storage of {} bytes",
                self.shape, self.stride, self.storage.len
            )),
        }
    }

    /// Puts the elements of `bytes`, the span, in order.
    pub(in super::super) fn gather(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut expected = 1;
        let contiguous = self
            .shape
            .iter()
            .zip(&self.stride)
            .rev()
            .all(|(&size, &stride)| {
                let fits = size == 1 || stride == expected;
                expected *= size;
                fits
            });
        if contiguous || bytes.is_empty() {
            return bytes;
        }
        let element = self.storage.element as usize;
        let count = self.shape.iter().product::<usize>();
        let mut out = Vec::with_capacity(count * element);
        let mut index = vec![0; self.shape.len()];
        let mut place = 0;
        for _ in 0..count {
            out.extend_from_slice(&bytes[place * element..][..element]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                place += self.stride[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                place -= self.stride[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        out
    }
}
