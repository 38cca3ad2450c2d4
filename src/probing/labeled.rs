use e2mc_data::source::imagenet::listed_names;
use e2mc_data::{class_balanced_count, class_balanced_subset};
use e2mc_eval::LabelAmount;

use crate::Error;
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
}

impl LabeledImages<'_> {
    /// The images whose labels a classifier sees. None: all images. The draws depend only on seed
    /// and labels, so that every backbone gets the same images.
    ///
    /// # Errors
    /// If a class has too few images, or a list cannot be used.
    pub(crate) fn choose(&self, chosen: &Labels, seed: u64) -> Result<Option<Vec<usize>>, Error> {
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
