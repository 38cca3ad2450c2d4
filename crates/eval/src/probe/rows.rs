use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::parameter::is_host;
use crate::{FeaturesPart, Standardizer};

/// Features up to this size are standardized and sent to the device once, larger ones batch by
/// batch.
const KEPT_BYTES: usize = 128 << 20;

/// Rows that one thread copies at a time.
const ROWS_AT_ONCE: usize = 16;

/// Features in host memory, standardized if the probe requires it, and sent to a device.
pub(super) struct Rows<'a> {
    part: FeaturesPart<'a>,
    standardizer: Option<&'a Standardizer>,
    device: Device,
    kept: Option<Kept>,
}

/// All rows `[n, d]`, if they are small enough.
enum Kept {
    /// On a device with memory of its own.
    Sent(Box<Tensor<2>>),
    /// On the host. Only standardized rows: others are read where they are.
    Standardized(Vec<f32>),
}

impl<'a> Rows<'a> {
    pub fn new(
        part: FeaturesPart<'a>,
        standardizer: Option<&'a Standardizer>,
        device: &Device,
    ) -> Self {
        let mut rows = Self {
            part,
            standardizer,
            device: device.clone(),
            kept: None,
        };
        if part.len() * part.dims() * size_of::<f32>() <= KEPT_BYTES {
            let all: Vec<usize> = (0..part.len()).collect();
            rows.kept = match (is_host(device), standardizer) {
                (false, _) => Some(Kept::Sent(Box::new(rows.send(&all)))),
                (true, Some(_)) => Some(Kept::Standardized(rows.gathered(&all))),
                (true, None) => None,
            };
        }
        rows
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Features `[b, d]` and labels of the given rows.
    pub fn batch(&self, rows: &[usize]) -> (Tensor<2>, Vec<usize>) {
        let values = match &self.kept {
            Some(Kept::Sent(kept)) => {
                let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
                let indices = TensorData::new(indices, [rows.len()]);
                (**kept)
                    .clone()
                    .select(0, Tensor::from_data(indices, &self.device))
            }
            _ => self.send(rows),
        };
        (values, rows.iter().map(|&row| self.label(row)).collect())
    }

    /// Label of a row.
    pub fn label(&self, row: usize) -> usize {
        self.part.label(row) as usize
    }

    /// Features `[b, d]` of neighboring rows.
    pub fn block(&self, rows: Range<usize>) -> Tensor<2> {
        match &self.kept {
            Some(Kept::Sent(kept)) => (**kept).clone().slice(rows),
            _ => self.send(&rows.collect::<Vec<_>>()),
        }
    }

    fn send(&self, rows: &[usize]) -> Tensor<2> {
        let shape = [rows.len(), self.part.dims()];
        Tensor::from_data(TensorData::new(self.gathered(rows), shape), &self.device)
    }

    /// The given rows, one after another.
    fn gathered(&self, rows: &[usize]) -> Vec<f32> {
        let dims = self.part.dims();
        let mut values = vec![0.0; rows.len() * dims];
        let targets = values.par_chunks_exact_mut(dims).with_min_len(ROWS_AT_ONCE);
        targets
            .zip(rows)
            .for_each(|(target, &row)| match &self.kept {
                Some(Kept::Standardized(kept)) => {
                    target.copy_from_slice(&kept[row * dims..][..dims]);
                }
                _ => {
                    target.copy_from_slice(self.part.row(row));
                    if let Some(standardizer) = self.standardizer {
                        standardizer.apply(target);
                    }
                }
            });
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    #[test]
    fn rows_sent_as_needed_equal_rows_kept() {
        let values = (0..24).map(|i| ((i * 7) % 13) as f32 / 3.0).collect();
        let features = Features::new(values, 4, vec![0, 1, 2, 0, 1, 2], 3).unwrap();
        let part = features.part(&[5, 0, 3, 1]).unwrap();
        let standardizer = Standardizer::fit(part);
        for standardizer in [None, Some(&standardizer)] {
            let rows = |kept| Rows {
                part,
                standardizer,
                device: Device::flex(),
                kept,
            };
            let as_needed = rows(None);
            let all = [0, 1, 2, 3];
            let kept = [
                Kept::Sent(Box::new(as_needed.send(&all))),
                Kept::Standardized(as_needed.gathered(&all)),
            ];
            let numbers = |rows: &Rows<'_>| {
                let (values, labels) = rows.batch(&[2, 3, 0]);
                let block = rows.block(1..3);
                (values.into_data(), labels, block.into_data())
            };
            assert_eq!(as_needed.batch(&[2, 3, 0]).1, [0, 1, 2]);
            for kept in kept {
                assert_eq!(numbers(&rows(Some(kept))), numbers(&as_needed));
            }
            let chosen = Rows::new(part, standardizer, &Device::flex());
            assert_eq!(chosen.kept.is_some(), standardizer.is_some());
        }
    }
}
