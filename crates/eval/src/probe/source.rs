use crate::{EvalError, FeaturesPart, Result};

/// Training features that may differ between epochs, such as features of fresh random crops.
///
/// Each epoch has the same images, in the same order, with the same labels. A `FeaturesPart` is the
/// same in every epoch; [`CachedCrops`] cycles through k parts. For fresh crops, implement this for
/// a type that holds the features of the current epoch. It may have its own error type.
pub trait TrainingFeatures {
    /// The error of [`epoch`](Self::epoch).
    type Error: From<EvalError>;

    /// The features of an epoch, counted from 0. Epoch 0 may be requested twice.
    ///
    /// # Errors
    ///
    /// The errors of the implementation.
    fn epoch(&mut self, epoch: usize) -> Result<FeaturesPart<'_>, Self::Error>;
}

impl TrainingFeatures for FeaturesPart<'_> {
    type Error = EvalError;

    fn epoch(&mut self, _epoch: usize) -> Result<FeaturesPart<'_>> {
        Ok(*self)
    }
}

/// Features of k random crops of each image, extracted once: epoch e sees crop e mod k.
#[derive(Debug, Clone)]
pub struct CachedCrops<'a>(Vec<FeaturesPart<'a>>);

impl<'a> CachedCrops<'a> {
    /// `crops` are the features of each crop, of the same images in the same order.
    ///
    /// # Errors
    ///
    /// [`EvalError::Empty`] without a crop, [`EvalError::OtherImages`] if the crops show different
    /// images.
    pub fn new(crops: Vec<FeaturesPart<'a>>) -> Result<Self> {
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

    fn epoch(&mut self, epoch: usize) -> Result<FeaturesPart<'_>> {
        Ok(self.0[epoch % self.0.len()])
    }
}

/// Checks that the number and labels of a crop's images are those of the first crop.
fn check_same_images(
    first: &FeaturesPart<'_>,
    other: &FeaturesPart<'_>,
    crop: usize,
) -> Result<()> {
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
