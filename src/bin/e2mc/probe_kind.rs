use std::str::FromStr;

use e2mc::eval::{LabelAmount, MapProbeConfig};
use e2mc::plan::ProbePlan;
use e2mc::{Preset, Probes, Result};

use crate::labels::LabelOptions;

/// Settings of probes by name.
#[derive(Clone, Copy)]
pub(crate) enum ProbePreset {
    /// The linear probes of a method.
    Method(Preset),
    /// The iNaturalist probe.
    Inat,
}

/// Its name on the command line.
const INAT: &str = "inat";

impl ProbePreset {
    /// The probes with the given labels.
    pub(crate) fn probes(self, options: &LabelOptions) -> Result<Probes> {
        match self {
            Self::Method(preset) => {
                let mut plans = preset.probes();
                options.apply(&mut plans, preset)?;
                Ok(Probes::Linear(plans))
            }
            Self::Inat => {
                let labels = options.labels_or(LabelAmount::ALL);
                let plan = |labels| ProbePlan::new(labels, options.draws(), MapProbeConfig::new());
                Ok(Probes::Map(labels.into_iter().map(plan).collect()))
            }
        }
    }
}

impl FromStr for ProbePreset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == INAT {
            return Ok(Self::Inat);
        }
        let preset = text.parse().map(Self::Method);
        preset.map_err(|expected: String| format!("{expected}, {INAT}"))
    }
}
