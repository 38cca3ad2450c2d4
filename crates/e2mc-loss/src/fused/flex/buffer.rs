use core::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers kept for the next call. Fresh memory from the system took a tenth of the time.
static KEPT: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());
/// Enough for two calls at a time, each with two large buffers and one small buffer per thread.
const KEEP: usize = 8;
/// Alignment of the first element in bytes: a cache line, so that no vector spans two.
const ALIGNMENT: usize = 64;

/// Working memory of one call. Its initial content is not specified.
pub(super) struct Buffer {
    memory: Vec<f32>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub(super) fn take(length: usize) -> Self {
        let whole = length + ALIGNMENT / size_of::<f32>();
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest buffer that is large enough. If there is none, one is dropped for a new one.
        let fitting = (0..kept.len())
            .filter(|&i| kept[i].len() >= whole)
            .min_by_key(|&i| kept[i].len());
        let memory = match fitting {
            Some(index) => kept.swap_remove(index),
            None => {
                kept.pop();
                drop(kept);
                vec![0.0; whole]
            }
        };
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self {
            memory,
            start,
            length,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = core::mem::take(&mut self.memory);
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEEP && !memory.is_empty() {
            kept.push(memory);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..][..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..][..self.length]
    }
}
