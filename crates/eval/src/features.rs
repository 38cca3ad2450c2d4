use burn::tensor::{Device, Tensor, TensorData};

use crate::EvalError;

/// Backbone outputs of a set of images, with their labels, in host memory.
///
/// Extracted once, they serve every probe: a labelled part is a [`subset`](Self::subset), not a
/// second pass through the backbone.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dims: usize,
    labels: Vec<u32>,
    classes: usize,
}

impl Features {
    /// Features from row-major values, one row of `dims` values per label.
    ///
    /// Labels lie in `0..classes`.
    ///
    /// # Errors
    /// [`EvalError::Empty`] without images, [`EvalError::RowCount`] if values and labels do not
    /// match, [`EvalError::LabelOutOfRange`], and [`EvalError::NonFinite`] naming the first row
    /// that holds NaN or infinity.
    pub fn new(
        values: Vec<f32>,
        dims: usize,
        labels: Vec<u32>,
        classes: usize,
    ) -> Result<Self, EvalError> {
        if labels.is_empty() {
            return Err(EvalError::Empty {
                what: "images to take features of",
            });
        }
        if dims == 0 || labels.len().checked_mul(dims) != Some(values.len()) {
            return Err(EvalError::RowCount {
                values: values.len(),
                rows: labels.len(),
                dims,
            });
        }
        if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(EvalError::LabelOutOfRange {
                row,
                label: labels[row],
                classes,
            });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(EvalError::NonFinite {
                row: at / dims,
                column: at % dims,
                value: values[at],
            });
        }
        Ok(Self {
            values,
            dims,
            labels,
            classes,
        })
    }

    /// Number of images n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always `false`: features of no image cannot be made.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of feature dimensions d.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Number of classes of the data set, present in this part of it or not.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Values, row-major `[n, d]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Feature vector of one image, `[d]`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dims..][..self.dims]
    }

    /// Labels `[n]`, each below [`classes`](Self::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The images at the given indices, in that order; an index may occur more than once.
    ///
    /// # Errors
    /// [`EvalError::Empty`] if there are no indices.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Result<Self, EvalError> {
        if indices.is_empty() {
            return Err(EvalError::Empty {
                what: "labelled images in the chosen part",
            });
        }
        let mut values = Vec::with_capacity(indices.len() * self.dims);
        for &index in indices {
            values.extend_from_slice(self.row(index));
        }
        Ok(Self {
            values,
            dims: self.dims,
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            classes: self.classes,
        })
    }

    /// The values as a tensor `[n, d]` on the device.
    pub fn tensor(&self, device: &Device) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), [self.len(), self.dims]);
        Tensor::from_data(data, device)
    }

    /// The same images with other values of the same shape.
    pub(crate) fn with_values(&self, values: Vec<f32>) -> Self {
        debug_assert_eq!(values.len(), self.values.len());
        Self {
            values,
            dims: self.dims,
            labels: self.labels.clone(),
            classes: self.classes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_keeps_rows_with_their_labels() {
        let features =
            Features::new(vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5], 2, vec![0, 1, 2], 3).unwrap();
        let part = features.subset(&[2, 0]).unwrap();
        assert_eq!(part.values(), [2.0, 2.5, 0.0, 0.5]);
        assert_eq!(part.labels(), [2, 0]);
        assert_eq!(part.classes(), 3);
        assert!(features.subset(&[]).is_err());
    }

    #[test]
    fn bad_input_is_named() {
        let error = |values: Vec<f32>, labels: Vec<u32>| {
            Features::new(values, 2, labels, 2).unwrap_err().to_string()
        };
        assert!(error(vec![], vec![]).contains("none"));
        assert!(error(vec![0.0; 3], vec![0, 1]).contains("3 feature values"));
        assert!(error(vec![0.0; 4], vec![0, 2]).contains("image 1 is 2"));
        let nan = vec![0.0, 0.0, 0.0, f32::NAN];
        assert!(error(nan, vec![0, 1]).contains("feature 1 of image 1 is NaN"));
    }
}
