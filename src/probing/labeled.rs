use e2mc_data::source::imagenet::listed_names;
use e2mc_data::{class_balanced_count, class_balanced_subset};
use e2mc_eval::LabelAmount;

use crate::Result;
use crate::plan::Labels;

/// Training images to choose from by their labels.
#[derive(Clone, Copy)]
pub(crate) struct LabeledImages<'a> {
    /// Their source, for messages.
    pub(crate) place: &'a str,
    pub(crate) names: &'a [String],
    pub(crate) labels: &'a [u32],
    /// Names of the classes.
    pub(crate) classes: &'a [String],
    /// The rows of these images whose features are there, ascending; none for all.
    pub(crate) rows: Option<&'a [usize]>,
}

impl LabeledImages<'_> {
    /// The images whose labels a classifier sees, by their position among the images with features.
    /// None: all images. The draws depend only on seed and labels, so that every backbone gets the
    /// same images.
    ///
    /// # Errors
    ///
    /// If a class has too few images, or a list cannot be used.
    ///
    /// # Panics
    ///
    /// If a chosen image has no features.
    pub(crate) fn choose(&self, chosen: &Labels, seed: u64) -> Result<Option<Vec<usize>>> {
        let chosen = self.choose_of_all(chosen, seed)?;
        Ok(match self.rows {
            Some(rows) => chosen.map(|chosen| {
                let place = |row| {
                    rows.binary_search(&row)
                        .expect("a chosen image has features")
                };
                chosen.into_iter().map(place).collect()
            }),
            None => chosen,
        })
    }

    fn choose_of_all(&self, chosen: &Labels, seed: u64) -> Result<Option<Vec<usize>>> {
        let amount = match chosen {
            Labels::Amount(LabelAmount::ALL) => return Ok(None),
            Labels::Amount(amount) => amount,
            Labels::List(file) => {
                return Ok(Some(listed_names(self.names, self.place, file)?));
            }
        };
        Ok(Some(match (amount.share(), amount.images_per_class()) {
            (Some(share), _) => class_balanced_subset(self.labels, share, seed)?,
            (None, Some(count)) => class_balanced_count(self.labels, self.classes, count, seed)?,
            (None, None) => unreachable!("{amount} is a share or a count"),
        }))
    }
}
