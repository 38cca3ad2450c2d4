use burn::config::Config;

use crate::{CompactSpace, E2mcLoss, InvalidOption};

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

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] for the first option that is out of range.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        let check = |fits: bool, option, value: &dyn ToString, expected| match fits {
            true => Ok(()),
            false => Err(InvalidOption {
                option,
                value: value.to_string(),
                expected,
            }),
        };
        for (option, weight) in [
            ("entropy_weight", self.entropy_weight),
            ("covariance_weight", self.covariance_weight),
        ] {
            // False for NaN too, and for what f32 cannot hold.
            let fits = (0.0..=f64::from(f32::MAX)).contains(&weight);
            let expected = "a finite number, 0 or greater; 0 switches the term off";
            check(fits, option, &weight, expected)?;
        }
        check(
            (MIN_EPSILON..=1.0).contains(&self.epsilon),
            "epsilon",
            &self.epsilon,
            "a number from 1e-30 to 1; the paper uses 1e-7",
        )?;
        check(
            self.spacing != Some(0),
            "spacing",
            &0,
            "1 or greater, or none for round(sqrt(n))",
        )
    }

    /// Creates the criterion.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate). Call that
    /// first for options from outside the program.
    pub fn init(&self) -> E2mcLoss {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        E2mcLoss::from_valid(self)
    }
}
