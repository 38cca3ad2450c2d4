use e2mc_eval::{CachedCrops, Features, FeaturesPart, TrainingFeatures};

use crate::{Error, Result};

/// Features of all training images, or a function that computes features of some.
pub(crate) enum TrainFeatures<'a> {
    /// Features of each crop of every image. Epoch e sees crop e mod the number of crops.
    Cached {
        crops: &'a [Features],
        /// Images that were unreadable for at least one crop and were replaced.
        unreadable: &'a [usize],
    },
    /// Features of new crops in each epoch.
    Fresh(&'a Fresh<'a>),
}

/// Computes the features of one epoch, and returns the unreadable rows.
pub(crate) type Fresh<'a> = dyn Fn(FreshEpoch) -> Result<(Features, Vec<usize>)> + Sync + 'a;

/// An epoch of a probe on fresh crops.
#[derive(Clone, Copy)]
pub(crate) struct FreshEpoch<'a> {
    /// The training images to use.
    pub(crate) rows: &'a [usize],
    pub(crate) epoch: usize,
    /// The total number of epochs.
    pub(crate) epochs: usize,
    /// The probe's name, for the progress.
    pub(crate) probe: &'a str,
}

impl<'a> TrainFeatures<'a> {
    /// The features of the chosen images, or of all. An unreadable image is left out if its
    /// replacement could differ between epochs.
    pub(super) fn of<'b>(
        &self,
        chosen: &'b mut Option<Vec<usize>>,
        images: usize,
        epochs: usize,
        probe: &'b str,
    ) -> Result<OfDraw<'b>>
    where
        'a: 'b,
    {
        match *self {
            Self::Cached { crops, unreadable } => {
                if crops.len() > 1 && !unreadable.is_empty() {
                    let rows = chosen.get_or_insert_with(|| (0..images).collect());
                    rows.retain(|row| !unreadable.contains(row));
                }
                let chosen = &*chosen;
                let crops = crops.iter().map(|crop| match chosen {
                    Some(rows) => crop.part(rows),
                    None => Ok(crop.into()),
                });
                let crops = CachedCrops::new(crops.collect::<Result<_, _>>()?)?;
                Ok(OfDraw::Cached(crops))
            }
            Self::Fresh(compute) => Ok(OfDraw::Fresh {
                compute,
                rows: chosen.take().unwrap_or_else(|| (0..images).collect()),
                epochs,
                probe,
                current: None,
            }),
        }
    }
}

/// The training features of one probe.
pub(super) enum OfDraw<'a> {
    Cached(CachedCrops<'a>),
    Fresh {
        compute: &'a Fresh<'a>,
        rows: Vec<usize>,
        epochs: usize,
        probe: &'a str,
        /// An epoch and its features.
        current: Option<(usize, Features)>,
    },
}

impl TrainingFeatures for OfDraw<'_> {
    type Error = Error;

    fn epoch(&mut self, epoch: usize) -> Result<FeaturesPart<'_>> {
        match self {
            Self::Cached(crops) => Ok(crops.epoch(epoch)?),
            Self::Fresh {
                compute,
                rows,
                epochs,
                probe,
                current,
            } => {
                if current.as_ref().is_none_or(|(of, _)| *of != epoch) {
                    // Freed before the next epoch is computed, so that two epochs need not fit in
                    // memory.
                    *current = None;
                    let compute = |rows: &[usize]| {
                        compute(FreshEpoch {
                            rows,
                            epoch,
                            epochs: *epochs,
                            probe,
                        })
                    };
                    let (mut features, unreadable) = compute(rows)?;
                    if !unreadable.is_empty() && epoch == 0 {
                        // Other epochs would have other replacements.
                        let mut at = 0..;
                        rows.retain(|_| at.next().is_none_or(|at| !unreadable.contains(&at)));
                        if rows.is_empty() {
                            let problem = "none of the labeled images can be read".into();
                            return Err(Error::NotProbed { problem });
                        }
                        features = compute(rows)?.0;
                    }
                    *current = Some((epoch, features));
                }
                let (_, features) = current.as_ref().expect("just computed");
                Ok(features.into())
            }
        }
    }
}
