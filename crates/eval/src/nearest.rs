/// Similarities checked at a time. Almost no block contains one that is high enough.
const BLOCK: usize = 32;

/// The k highest similarities of a stream, with their positions.
#[derive(Debug, Clone)]
pub(crate) struct Nearest {
    k: usize,
    /// Descending; equal ones in the order of their positions.
    found: Vec<(f32, usize)>,
}

impl Nearest {
    pub fn new(k: usize) -> Self {
        Self {
            k,
            found: Vec::with_capacity(k + 1),
        }
    }

    /// Adds similarities at the positions from `start` on, which must follow all earlier ones.
    pub fn add(&mut self, start: usize, similarities: &[f32]) {
        for (block, values) in similarities.chunks(BLOCK).enumerate() {
            let lowest = self.lowest();
            // Without a branch, so that the compiler compares many at once.
            if !values
                .iter()
                .fold(false, |any, &value| any | (value > lowest))
            {
                continue;
            }
            for (i, &value) in values.iter().enumerate() {
                if value > self.lowest() {
                    self.insert(value, start + block * BLOCK + i);
                }
            }
        }
    }

    /// The result, most similar first.
    pub fn found(&self) -> &[(f32, usize)] {
        &self.found
    }

    /// A similarity is kept only if it exceeds this.
    fn lowest(&self) -> f32 {
        if self.found.len() < self.k {
            f32::NEG_INFINITY
        } else {
            self.found[self.k - 1].0
        }
    }

    fn insert(&mut self, similarity: f32, position: usize) {
        let at = self
            .found
            .partition_point(|&(other, _)| other >= similarity);
        self.found.insert(at, (similarity, position));
        self.found.truncate(self.k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_highest_and_among_equals_the_first() {
        let values: Vec<f32> = (0..500).map(|i| ((i * 7919) % 101) as f32).collect();
        let mut nearest = Nearest::new(12);
        nearest.add(0, &values[..3]);
        nearest.add(3, &values[3..77]);
        nearest.add(77, &values[77..]);

        let mut all: Vec<(f32, usize)> = values.iter().copied().zip(0..).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert_eq!(nearest.found(), &all[..12]);
    }
}
