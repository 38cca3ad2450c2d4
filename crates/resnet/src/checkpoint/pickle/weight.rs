/// What an object would weigh in the reader's memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Weight {
    /// Values in it; sixteen bytes of text count as one.
    pub(super) values: u64,
    pub(super) depth: u32,
    pub(super) tensors: u64,
    /// Bytes of the names that its tensors have from here on.
    pub(super) names: u64,
    /// Bytes of the object as a dictionary's key.
    pub(super) key: u64,
    /// Where it is memoised.
    pub(super) memo: Option<u32>,
}

impl Weight {
    pub(super) fn scalar() -> Self {
        Self {
            values: 1,
            key: 20,
            ..Self::default()
        }
    }

    pub(super) fn text(len: u64) -> Self {
        Self {
            values: 1 + len / 16,
            key: len,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, part: Self) {
        self.values = self.values.saturating_add(part.values);
        self.depth = self.depth.max(part.depth.saturating_add(1));
        self.tensors = self.tensors.saturating_add(part.tensors);
        self.names = self.names.saturating_add(part.names);
    }

    /// Puts `part` under a key of `key` bytes.
    pub(super) fn add_under(&mut self, key: u64, part: Self) {
        self.add(part);
        self.names = self
            .names
            .saturating_add(part.tensors.saturating_mul(key.saturating_add(1)));
    }

    pub(super) fn sequence(items: &[Self]) -> Self {
        let mut whole = Self::scalar();
        for &item in items {
            // The key is the index.
            whole.add_under(8, item);
        }
        whole
    }
}
