//! Add-on criteria for any base method, behind one type: [E2MC](E2mcLoss) and the criteria that
//! Table 3 of its paper compares it with.
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use ssl_methods::criterion::{CriterionConfig, MmcrConfig};
//!
//! let device = Device::default();
//! let z = || Tensor::<2>::random([16, 8], Distribution::Normal(0.0, 1.0), &device);
//! let criterion = CriterionConfig::Mmcr(MmcrConfig::new()).init();
//! let output = criterion.forward(&[z(), z()], &[]).expect("MMCR has a loss");
//! assert_eq!(output.loss.dims(), [1]);
//! ```

mod mmcr;
mod uniformity;
mod vcreg;

use burn::tensor::Tensor;
use e2mc_loss::{E2mcLoss, E2mcLossConfig};
use serde::{Deserialize, Serialize};

pub use mmcr::{Mmcr, MmcrConfig};
pub use uniformity::{Uniformity, UniformityConfig};
pub use vcreg::{VcReg, VcRegConfig};

use crate::Result;

/// Configuration of a [`Criterion`]: which one, and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CriterionConfig {
    /// The base loss alone.
    None,
    /// Effective-entropy maximization.
    E2mc(E2mcLossConfig),
    /// VICReg's variance and covariance.
    VcReg(VcRegConfig),
    /// Uniformity on the hypersphere (AUH).
    Uniformity(UniformityConfig),
    /// Maximum manifold capacity.
    Mmcr(MmcrConfig),
}

impl CriterionConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option that
    /// is out of range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::E2mc(config) => Ok(config.validate()?),
            Self::VcReg(config) => config.validate(),
            Self::Uniformity(config) => config.validate(),
            Self::Mmcr(config) => config.validate(),
        }
    }

    /// Creates the criterion.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate). Call that
    /// first for options from outside the program.
    pub fn init(&self) -> Criterion {
        match self {
            Self::None => Criterion::None,
            Self::E2mc(config) => Criterion::E2mc(config.init()),
            Self::VcReg(config) => Criterion::VcReg(config.init()),
            Self::Uniformity(config) => Criterion::Uniformity(config.init()),
            Self::Mmcr(config) => Criterion::Mmcr(config.init()),
        }
    }
}

/// An add-on criterion, created by [`CriterionConfig::init`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Criterion {
    /// The base loss alone.
    None,
    /// Effective-entropy maximization.
    E2mc(E2mcLoss),
    /// VICReg's variance and covariance.
    VcReg(VcReg),
    /// Uniformity on the hypersphere (AUH).
    Uniformity(Uniformity),
    /// Maximum manifold capacity.
    Mmcr(Mmcr),
}

/// The output of a criterion.
#[derive(Debug, Clone)]
pub struct CriterionOutput {
    /// The weighted loss to add to the base loss, `[1]`, f32.
    pub loss: Tensor<1>,
    /// Its unweighted terms for the log, each `[1]`, detached.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl Criterion {
    /// Computes the loss of a batch's embeddings; `None` only for [`Criterion::None`].
    ///
    /// # Shapes
    ///
    /// - embeddings: [`MethodOutput::embeddings`](crate::MethodOutput::embeddings), one `[n, d]`
    ///   per full-resolution view
    /// - small_crops: [`MethodOutput::small_crops`](crate::MethodOutput::small_crops), `[n, d]`
    ///   each; only MMCR uses them
    ///
    /// # Panics
    ///
    /// If there is no view, shapes differ, or n < 2.
    pub fn forward(
        &self,
        embeddings: &[Tensor<2>],
        small_crops: &[Tensor<2>],
    ) -> Option<CriterionOutput> {
        Some(match self {
            Self::None => return None,
            Self::E2mc(e2mc) => {
                let output = e2mc.forward(embeddings);
                CriterionOutput {
                    loss: output.loss,
                    terms: vec![
                        ("entropy", output.entropy.without_autodiff()),
                        ("covariance", output.covariance.without_autodiff()),
                    ],
                }
            }
            Self::VcReg(vcreg) => vcreg.forward(embeddings),
            Self::Uniformity(uniformity) => uniformity.forward(embeddings),
            Self::Mmcr(mmcr) => mmcr.forward(&[embeddings, small_crops].concat()),
        })
    }
}

/// Panics unless there is at least one view and all are `[n >= 2, d]` of one shape.
fn check_views(criterion: &str, views: &[Tensor<2>]) {
    let shapes: Vec<_> = views.iter().map(|z| z.dims()).collect();
    assert!(
        shapes
            .first()
            .is_some_and(|first| first[0] >= 2 && shapes.iter().all(|shape| shape == first)),
        "{criterion}: expected one or more views of one shape [n >= 2, d], got {shapes:?}"
    );
}
