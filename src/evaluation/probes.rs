use e2mc_eval::MapProbeConfig;

use crate::plan::ProbePlan;
use crate::probing::{FeatureKind, LabelProbes, ProbeKind, Probing};
use crate::{Error, Result};

/// The probes of an evaluation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Probes {
    /// Softmax regression on the representations.
    Linear(Vec<ProbePlan>),
    /// The iNaturalist probe, on the last feature map: see [`e2mc_eval::map_probe`].
    Map(Vec<ProbePlan<MapProbeConfig>>),
}

impl Probes {
    /// The probes with one setting changed, such as `learning_rate`. `value` is JSON, or plain text
    /// if a name is expected.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the setting does not exist or the value is invalid.
    pub fn with_setting(self, name: &str, value: &str) -> Result<Self> {
        Ok(match self {
            Self::Linear(plans) => {
                let plans = plans.into_iter().map(|plan| plan.with_setting(name, value));
                Self::Linear(plans.collect::<Result<_, _>>()?)
            }
            Self::Map(plans) => {
                let plans = plans.into_iter().map(|plan| plan.with_setting(name, value));
                Self::Map(plans.collect::<Result<_, _>>()?)
            }
        })
    }

    pub(super) fn kind(&self) -> FeatureKind {
        match self {
            Self::Linear(_) => FeatureKind::Average,
            Self::Map(_) => FeatureKind::Map,
        }
    }

    /// Number of probes trained on each backbone.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Linear(plans) => plans.iter().map(|plan| plan.draws).sum(),
            Self::Map(plans) => plans.iter().map(|plan| plan.draws).sum(),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        match self {
            Self::Linear(plans) => plans.iter().try_for_each(validate),
            Self::Map(plans) => plans.iter().try_for_each(validate),
        }
    }

    pub(super) fn train(
        &self,
        probing: &Probing,
        done: impl FnMut() -> Result<()> + Send,
    ) -> Result<Vec<LabelProbes>> {
        match self {
            Self::Linear(plans) => probing.probe_all(plans, done),
            Self::Map(plans) => probing.probe_all(plans, done),
        }
    }
}

fn validate<P: ProbeKind>(plan: &ProbePlan<P>) -> Result<()> {
    match plan.draws {
        0 => Err(Error::invalid("label_draws", 0, "at least 1")),
        _ => Ok(plan.settings.check()?),
    }
}
