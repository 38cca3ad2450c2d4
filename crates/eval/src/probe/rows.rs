use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{FeaturesPart, Standardizer};

/// Features up to this size are sent to the device once, larger ones batch by batch.
const KEPT_BYTES: usize = 64 << 20;

/// Features in host memory, standardized if the probe requires it, and sent to a device.
pub(super) struct Rows<'a> {
    part: FeaturesPart<'a>,
    standardizer: Option<&'a Standardizer>,
    device: Device,
    /// All rows `[n, d]`, if they are small enough.
    kept: Option<Tensor<2>>,
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
            rows.kept = Some(rows.send(0..part.len()));
        }
        rows
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Features `[b, d]` and labels `[b, 1]` of the given rows.
    pub fn batch(&self, rows: &[usize]) -> (Tensor<2>, Tensor<2, Int>) {
        let values = match &self.kept {
            Some(kept) => {
                let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
                let indices = TensorData::new(indices, [rows.len()]);
                kept.clone()
                    .select(0, Tensor::from_data(indices, &self.device))
            }
            None => self.send(rows.iter().copied()),
        };
        (values, self.labels(rows.iter().copied()))
    }

    /// Labels `[b, 1]` of the given rows.
    pub fn labels(&self, rows: impl ExactSizeIterator<Item = usize>) -> Tensor<2, Int> {
        let shape = [rows.len(), 1];
        let labels: Vec<i32> = rows.map(|row| self.part.label(row) as i32).collect();
        Tensor::from_data(TensorData::new(labels, shape), &self.device)
    }

    /// Features `[b, d]` of neighboring rows.
    pub fn block(&self, rows: Range<usize>) -> Tensor<2> {
        match &self.kept {
            Some(kept) => kept.clone().slice(rows),
            None => self.send(rows),
        }
    }

    fn send(&self, rows: impl ExactSizeIterator<Item = usize>) -> Tensor<2> {
        let shape = [rows.len(), self.part.dims()];
        let mut values = Vec::with_capacity(shape[0] * shape[1]);
        for row in rows.map(|row| self.part.row(row)) {
            match self.standardizer {
                Some(standardizer) => standardizer.append(row, &mut values),
                None => values.extend_from_slice(row),
            }
        }
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    #[test]
    fn rows_sent_as_needed_equal_rows_sent_once() {
        let values = (0..24).map(|i| ((i * 7) % 13) as f32 / 3.0).collect();
        let features = Features::new(values, 4, vec![0, 1, 2, 0, 1, 2], 3).unwrap();
        let part = features.part(&[5, 0, 3, 1]).unwrap();
        let standardizer = Standardizer::fit(part);
        for standardizer in [None, Some(&standardizer)] {
            let once = Rows::new(part, standardizer, &Device::flex());
            assert!(once.kept.is_some());
            let streamed = Rows {
                part,
                standardizer,
                device: Device::flex(),
                kept: None,
            };
            let numbers = |rows: &Rows<'_>| {
                let (values, labels) = rows.batch(&[2, 3, 0]);
                let block = rows.block(1..3);
                (values.into_data(), labels.into_data(), block.into_data())
            };
            assert_eq!(numbers(&streamed), numbers(&once));
            assert_eq!(
                once.batch(&[2, 3, 0])
                    .1
                    .into_data()
                    .iter::<i64>()
                    .collect::<Vec<_>>(),
                [0, 1, 2]
            );
        }
    }
}
