use burn::config::Config;

use crate::{CompactSpace, E2mcLoss, InvalidConfig};

/// Smallest `epsilon`: below it the gradient of a collapsed column, about n / (m epsilon), can
/// leave the range of f32.
const MIN_EPSILON: f64 = 1e-30;

/// Configuration of the [E2MC criterion](E2mcLoss).
///
/// The defaults are SwAV's weights; [`vicreg`](Self::vicreg), [`swav`](Self::swav) and
/// [`simsiam`](Self::simsiam) are the paper's settings (App. B.1).
///
/// The weights assume the convention of the released code: the entropy is *averaged* over
/// dimensions and views; the covariance is averaged over dimensions and *summed* over views.
/// (Equation 7 prints a sum for both, but the published weights belong to the released code: see
/// [our conventions](https://github.com/OWNER/e2mc/blob/main/docs/paper.md#criterion-conventions).)
#[derive(Config, Debug, PartialEq)]
pub struct E2mcLossConfig {
    /// The compact space onto which embeddings are mapped before both terms: the
    /// hypersphere for methods that L2-normalize, the hypercube for others.
    pub space: CompactSpace,
    /// Weight of the marginal entropy, the paper's beta. Finite, at least 0.
    #[config(default = 1.0)]
    pub entropy_weight: f64,
    /// Weight of the off-diagonal covariance, the paper's gamma. Finite, at least 0.
    #[config(default = 25.0)]
    pub covariance_weight: f64,
    /// Spacing order m of the entropy estimate, at least 1 and less than the number of samples.
    /// `None`: round(sqrt(n)) for each view.
    #[config(default = "None")]
    pub spacing: Option<usize>,
    /// Added to each scaled spacing before the logarithm, from 1e-30 to 1. The default is the
    /// f32 machine epsilon.
    #[config(default = "f64::from(f32::EPSILON)")]
    pub epsilon: f64,
}

impl E2mcLossConfig {
    /// The paper's setting for VICReg: hypercube, beta 1000, gamma 100, epsilon 1e-7.
    pub fn vicreg() -> Self {
        Self::new(CompactSpace::Hypercube)
            .with_entropy_weight(1000.0)
            .with_covariance_weight(100.0)
            .with_epsilon(1e-7)
    }

    /// The paper's setting for SwAV: hypersphere, beta 1, gamma 25, epsilon 1.1920929e-7.
    ///
    /// Apply it to the projector output of the two full-resolution crops *before* L2 normalization.
    pub fn swav() -> Self {
        Self::new(CompactSpace::Hypersphere)
            .with_entropy_weight(1.0)
            .with_covariance_weight(25.0)
    }

    /// The paper's setting for SimSiam: hypersphere, beta 0.001, gamma 0.01, epsilon 1.1920929e-7.
    pub fn simsiam() -> Self {
        Self::new(CompactSpace::Hypersphere)
            .with_entropy_weight(0.001)
            .with_covariance_weight(0.01)
    }

    /// Checks every field against its allowed range.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] names the first field outside its range and what is allowed.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for (field, value) in [
            ("entropy_weight", self.entropy_weight),
            ("covariance_weight", self.covariance_weight),
        ] {
            // False for NaN too.
            if !(0.0..=f64::from(f32::MAX)).contains(&value) {
                return Err(InvalidConfig::Weight { field, value });
            }
        }
        if !(MIN_EPSILON..=1.0).contains(&self.epsilon) {
            let value = self.epsilon;
            return Err(InvalidConfig::Epsilon { value });
        }
        match self.spacing {
            Some(0) => Err(InvalidConfig::Spacing),
            _ => Ok(()),
        }
    }

    /// Creates the criterion, or returns an error that names the setting out of range. For settings
    /// from outside the program.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn try_init(&self) -> Result<E2mcLoss, InvalidConfig> {
        self.validate()?;
        Ok(E2mcLoss::from_valid(self))
    }

    /// Creates the criterion.
    ///
    /// # Panics
    ///
    /// If a setting is out of range, with the message of [`try_init`](Self::try_init).
    pub fn init(&self) -> E2mcLoss {
        match self.try_init() {
            Ok(criterion) => criterion,
            Err(error) => panic!("{error}"),
        }
    }
}
