use crate::{EvalError, FeaturesPart};

/// Training features that may differ from epoch to epoch, as those of fresh random crops do.
///
/// Each epoch has the same images, in the same order, with the same labels. A `FeaturesPart` is the
/// same for every epoch; [`CachedCrops`] go through k of them in turn. For fresh crops, implement
/// this for a type that holds the features of the current epoch. Its error may be its own.
pub trait TrainingFeatures {
    /// What can go wrong.
    type Error: From<EvalError>;

    /// The features of an epoch, counted from 0. Epoch 0 may be asked for twice.
    ///
    /// # Errors
    /// Those of whoever makes the features.
    fn epoch(&mut self, epoch: usize) -> Result<FeaturesPart<'_>, Self::Error>;
}

impl TrainingFeatures for FeaturesPart<'_> {
    type Error = EvalError;

    fn epoch(&mut self, _epoch: usize) -> Result<FeaturesPart<'_>, EvalError> {
        Ok(*self)
    }
}

/// Features of k random crops of each image, extracted once: epoch e sees crop e mod k.
#[derive(Debug, Clone)]
pub struct CachedCrops<'a>(Vec<FeaturesPart<'a>>);

impl<'a> CachedCrops<'a> {
    /// The features of each crop, of the same images in the same order.
    ///
    /// # Errors
    /// [`EvalError::Empty`] without a crop, [`EvalError::OtherImages`] if crops differ in their
    /// images.
    pub fn new(crops: Vec<FeaturesPart<'a>>) -> Result<Self, EvalError> {
        let first = crops.first().ok_or(EvalError::Empty {
            what: "crops of the training images",
        })?;
        for (crop, features) in crops.iter().enumerate() {
            check_same_images(first, features, crop)?;
        }
        Ok(Self(crops))
    }
}

impl TrainingFeatures for CachedCrops<'_> {
    type Error = EvalError;

    fn epoch(&mut self, epoch: usize) -> Result<FeaturesPart<'_>, EvalError> {
        Ok(self.0[epoch % self.0.len()])
    }
}

/// Checks that the features of a crop have the images of the first, as far as size
/// and labels tell.
fn check_same_images(
    first: &FeaturesPart<'_>,
    other: &FeaturesPart<'_>,
    crop: usize,
) -> Result<(), EvalError> {
    first.check_same_space(other)?;
    let (images, others) = (first.len(), other.len());
    let problem = if images != others {
        format!("crop 0 has {images} images, crop {crop} has {others}")
    } else if let Some(at) = (0..images).find(|&at| first.label(at) != other.label(at)) {
        let (label, other) = (first.label(at), other.label(at));
        format!("the label of image {at} is {label} in crop 0 and {other} in crop {crop}")
    } else {
        return Ok(());
    };
    Err(EvalError::OtherImages { problem })
}
