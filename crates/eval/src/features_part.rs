use crate::{EvalError, Features, Result};

/// Some or all rows of a set of features, borrowed. The input of a classifier, for training or
/// testing.
///
/// `&Features` converts into the part with every row.
#[derive(Debug, Clone, Copy)]
pub struct FeaturesPart<'a> {
    features: &'a Features,
    /// `None`: every row.
    rows: Option<&'a [usize]>,
}

impl Features {
    /// The images at the given rows, in that order; a row may occur more than once.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] if there are no rows.
    ///
    /// # Panics
    ///
    /// If a row is not below [`len`](Self::len).
    pub fn part<'a>(&'a self, rows: &'a [usize]) -> Result<FeaturesPart<'a>> {
        if rows.is_empty() {
            return Err(EvalError::Empty {
                what: "labeled images in the chosen part",
            });
        }
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            panic!("Features: row {row} of {}", self.len());
        }
        Ok(FeaturesPart {
            features: self,
            rows: Some(rows),
        })
    }
}

impl<'a> From<&'a Features> for FeaturesPart<'a> {
    fn from(features: &'a Features) -> Self {
        Self {
            features,
            rows: None,
        }
    }
}

impl<'a> FeaturesPart<'a> {
    /// Number of images n in the part.
    pub fn len(&self) -> usize {
        self.rows.map_or(self.features.len(), <[usize]>::len)
    }

    /// Always `false`: there is at least one image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of feature dimensions d.
    pub fn dims(&self) -> usize {
        self.features.dims()
    }

    /// Number of classes of the data set, whether or not the part shows all of them.
    pub fn classes(&self) -> usize {
        self.features.classes()
    }

    /// Feature vector of one image of the part, `[d]`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn row(&self, index: usize) -> &'a [f32] {
        self.features
            .row(self.rows.map_or(index, |rows| rows[index]))
    }

    /// Label of one image of the part, below [`classes`](Self::classes).
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn label(&self, index: usize) -> u32 {
        self.features.labels()[self.rows.map_or(index, |rows| rows[index])]
    }

    /// Labels of the part's images, in order.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        (0..self.len()).map(|index| self.label(index))
    }

    /// Checks that both parts have the same dimensions and classes.
    ///
    /// # Errors
    ///
    /// [`EvalError::DimensionMismatch`] and [`EvalError::ClassMismatch`].
    pub(crate) fn check_same_space(&self, test: &FeaturesPart<'_>) -> Result<()> {
        if self.dims() != test.dims() {
            return Err(EvalError::DimensionMismatch {
                train: self.dims(),
                test: test.dims(),
            });
        }
        if self.classes() != test.classes() {
            return Err(EvalError::ClassMismatch {
                train: self.classes(),
                test: test.classes(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Features {
        Features::new(vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5], 2, vec![0, 1, 2], 3).unwrap()
    }

    #[test]
    fn a_part_keeps_rows_with_their_labels() {
        let features = features();
        let part = features.part(&[2, 0, 2]).unwrap();
        assert_eq!((part.len(), part.dims(), part.classes()), (3, 2, 3));
        assert_eq!([part.row(0), part.row(1)], [[2.0, 2.5], [0.0, 0.5]]);
        assert_eq!(part.labels().collect::<Vec<_>>(), [2, 0, 2]);
        assert!(features.part(&[]).is_err());
    }

    #[test]
    fn a_whole_set_is_its_own_part() {
        let features = features();
        let whole = FeaturesPart::from(&features);
        assert_eq!(whole.labels().collect::<Vec<_>>(), features.labels());
        assert_eq!(whole.row(1), features.row(1));
    }

    #[test]
    #[should_panic(expected = "row 3 of 3")]
    fn rows_outside_the_set_panic() {
        let _ = features().part(&[0, 3]);
    }
}
