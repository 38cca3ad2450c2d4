use serde::{Deserialize, Serialize};

use crate::{EvalError, Result};

/// Whether an image shows objects of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// The image shows no object of the class.
    Absent,
    /// The image shows at least one object that is not marked as difficult.
    Present,
    /// All of the image's objects of the class are marked as difficult.
    Difficult,
}

/// The classes that each image of a set shows, any number per image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectLabels {
    presence: Vec<Presence>,
    classes: usize,
}

impl ObjectLabels {
    /// Labels from row-major values `[n, classes]`.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] without images or classes.
    ///
    /// # Panics
    ///
    /// If the values are not a whole number of rows.
    pub fn new(presence: Vec<Presence>, classes: usize) -> Result<Self> {
        if presence.is_empty() || classes == 0 {
            return Err(EvalError::Empty {
                what: "images with labels of classes",
            });
        }
        assert_eq!(
            presence.len() % classes,
            0,
            "{} labels do not fill rows of {classes} classes",
            presence.len()
        );
        Ok(Self { presence, classes })
    }

    /// Labels of images that show one class each: `labels[i]` below `classes`.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] without images, and [`EvalError::LabelOutOfRange`].
    pub fn from_single(labels: &[u32], classes: usize) -> Result<Self> {
        let mut presence = vec![Presence::Absent; labels.len() * classes];
        for (row, &label) in labels.iter().enumerate() {
            if label as usize >= classes {
                return Err(EvalError::LabelOutOfRange {
                    row,
                    label,
                    classes,
                });
            }
            presence[row * classes + label as usize] = Presence::Present;
        }
        Self::new(presence, classes)
    }

    /// Number of images n, at least 1.
    pub fn images(&self) -> usize {
        self.presence.len() / self.classes
    }

    /// Number of classes, at least 1.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The label of every image for one class, `[n]`.
    ///
    /// # Panics
    ///
    /// If `class` is not below [`classes`](Self::classes).
    pub fn of_class(&self, class: usize) -> impl ExactSizeIterator<Item = Presence> + '_ {
        assert!(class < self.classes, "class {class} of {}", self.classes);
        (0..self.images()).map(move |image| self.presence[image * self.classes + class])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_per_image() {
        let labels = ObjectLabels::from_single(&[1, 0], 2).unwrap();
        let of_0: Vec<_> = labels.of_class(0).collect();
        assert_eq!(of_0, [Presence::Absent, Presence::Present]);
        let error = ObjectLabels::from_single(&[0, 2], 2).unwrap_err();
        assert!(error.to_string().contains("image 1 is 2"), "{error}");
        assert!(ObjectLabels::from_single(&[], 2).is_err());
    }

    #[test]
    #[should_panic(expected = "5 labels do not fill rows of 2 classes")]
    fn part_of_a_row_panics() {
        ObjectLabels::new(vec![Presence::Absent; 5], 2).unwrap();
    }
}
