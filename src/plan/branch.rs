use std::fmt;
use std::str::FromStr;

use e2mc_loss::E2mcLossConfig;
use serde::{Deserialize, Serialize};
use ssl_methods::criterion::{CriterionConfig, MmcrConfig, UniformityConfig, VcRegConfig};

/// The name of the checkpoint's own backbone, reserved: no branch may have it.
pub const BASE: &str = "base";

/// One training of a study. Branches differ only in these fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchPlan {
    /// Name in files, tables and messages: letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// The criterion beside the base loss.
    pub criterion: CriterionConfig,
    /// Learning rate of this branch instead of the plan's, positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

impl BranchPlan {
    /// A branch with the plan's learning rate.
    pub fn new(name: impl Into<String>, criterion: CriterionConfig) -> Self {
        Self {
            name: name.into(),
            criterion,
            learning_rate: None,
        }
    }

    /// The name in tables and figures.
    pub fn title(&self) -> String {
        match self.name.strip_prefix("e2mc-") {
            Some(weights) => format!("+ E2MC {}", weights.replace('-', ", ")),
            None => match self.name.parse::<CriterionName>() {
                Ok(name) => name.title().into(),
                Err(_) => self.name.clone(),
            },
        }
    }

    /// Whether the base loss alone is trained.
    pub fn is_without_criterion(&self) -> bool {
        self.criterion == CriterionConfig::None
    }
}

/// The criteria by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CriterionName {
    /// The base loss alone; its branch is called `continued`.
    None,
    /// Effective-entropy maximization.
    E2mc,
    /// VICReg's variance and covariance.
    VcReg,
    /// Uniformity on the hypersphere (AUH).
    Uniformity,
    /// Maximum manifold capacity.
    Mmcr,
}

impl CriterionName {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::E2mc,
        Self::VcReg,
        Self::Uniformity,
        Self::Mmcr,
    ];

    /// The criterion with the paper's settings (Table 3), E2MC with `e2mc`'s.
    pub fn config(self, e2mc: &E2mcLossConfig) -> CriterionConfig {
        match self {
            Self::None => CriterionConfig::None,
            Self::E2mc => CriterionConfig::E2mc(e2mc.clone()),
            Self::VcReg => CriterionConfig::VcReg(VcRegConfig::new()),
            Self::Uniformity => CriterionConfig::Uniformity(UniformityConfig::new()),
            Self::Mmcr => CriterionConfig::Mmcr(MmcrConfig::new()),
        }
    }

    /// A branch of the criterion's name with [`config`](Self::config).
    pub fn branch(self, e2mc: &E2mcLossConfig) -> BranchPlan {
        BranchPlan::new(self.branch_name(), self.config(e2mc))
    }

    fn branch_name(self) -> &'static str {
        match self {
            Self::None => "continued",
            Self::E2mc => "e2mc",
            Self::VcReg => "vcreg",
            Self::Uniformity => "uniformity",
            Self::Mmcr => "mmcr",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::None => "continued",
            Self::E2mc => "+ E2MC",
            Self::VcReg => "+ VCReg",
            Self::Uniformity => "+ uniformity",
            Self::Mmcr => "+ MMCR",
        }
    }
}

impl FromStr for CriterionName {
    type Err = String;

    /// Reads the name of a criterion or of its branch.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        Self::ALL
            .into_iter()
            .find(|name| name.branch_name() == text)
            .ok_or_else(|| "one of e2mc, vcreg, uniformity, mmcr, none".into())
    }
}

impl fmt::Display for CriterionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            name => name.branch_name(),
        })
    }
}
