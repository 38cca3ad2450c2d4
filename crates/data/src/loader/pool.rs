//! Reuses the buffers of finished batches. Fresh pages from the system would take as long as the
//! resizing.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn::tensor::{AllocationProperty, Bytes};
use pulp::bytemuck::{self, NoUninit};

/// Buffers that no tensor uses any more.
pub(super) struct Pool<T> {
    /// Oldest first.
    free: Mutex<Vec<Vec<T>>>,
    /// Largest number of free buffers. Beyond it, the oldest is freed.
    most: usize,
}

/// A buffer that comes back to its pool when it is dropped.
pub(super) struct Buffer<T: NoUninit + Send> {
    values: Vec<T>,
    pool: Weak<Pool<T>>,
}

impl<T: NoUninit + Default + Send + Sync> Pool<T> {
    /// A pool that keeps up to `most` buffers.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Mutex::new(Vec::new()),
            most,
        })
    }

    /// A buffer of `len` values, which the caller overwrites.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer<T> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let position = free.iter().position(|values| values.len() == len);
        let values = position.map(|position| free.remove(position));
        drop(free);
        Buffer {
            values: values.unwrap_or_else(|| vec![T::default(); len]),
            pool: Arc::downgrade(self),
        }
    }
}

impl<T: NoUninit + Send + Sync> Buffer<T> {
    pub(super) fn values(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Uses the values as the memory of `parts` tensors of one size, without a copy.
    pub(super) fn into_parts(self, parts: usize) -> impl Iterator<Item = Bytes> {
        let values = bytes::Bytes::from_owner(self);
        let size = values.len() / parts;
        (0..parts).map(move |i| {
            let part = values.slice(i * size..(i + 1) * size);
            Bytes::from_shared(part, AllocationProperty::Native)
        })
    }
}

impl<T: NoUninit + Send> AsRef<[u8]> for Buffer<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.values)
    }
}

impl<T: NoUninit + Send> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let mut free = pool.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(std::mem::take(&mut self.values));
            if free.len() > pool.most {
                drop(free.remove(0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = Pool::<f32>::new(2);
        let mut buffer = pool.take(3);
        buffer.values().copy_from_slice(&[1.0, 2.0, 3.0]);
        let address = buffer.as_ref().as_ptr();
        let parts: Vec<_> = buffer.into_parts(3).collect();
        for (i, part) in parts.iter().enumerate() {
            assert_eq!(part.len(), 4);
            assert_eq!(part.as_ptr(), address.wrapping_add(4 * i), "copied");
        }
        drop(parts);
        assert_eq!(pool.take(3).as_ref().as_ptr(), address, "not reused");
        assert_eq!(pool.take(4).as_ref().len(), 16);

        let buffers: Vec<_> = (0..5).map(|_| pool.take(3)).collect();
        drop(buffers);
        assert_eq!(pool.free.lock().unwrap().len(), 2);

        // A tensor may outlive the loader.
        let buffer = pool.take(3);
        drop(pool);
        assert_eq!(buffer.as_ref().len(), 12);
    }
}
