use crate::{EvalError, Result};

/// Backbone outputs of a set of images, with their labels, in host memory.
///
/// Extracted once, they serve every probe. [`part`](Self::part) borrows a labeled part without a
/// second pass through the backbone and without a copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dims: usize,
    labels: Vec<u32>,
    classes: usize,
}

impl Features {
    /// Creates features from row-major values, one row of `dims` values per label.
    ///
    /// Labels lie in `0..classes`.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] without images, [`EvalError::RowCount`] if values and labels do not
    /// match, [`EvalError::LabelOutOfRange`], and [`EvalError::NonFinite`] for the first row with
    /// NaN or infinity.
    pub fn new(values: Vec<f32>, dims: usize, labels: Vec<u32>, classes: usize) -> Result<Self> {
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

    /// Always `false`: there is at least one image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of feature dimensions d.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Number of classes of the data set, whether or not these images show all of them.
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
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dims..][..self.dims]
    }

    /// Labels `[n]`, each below [`classes`](Self::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
