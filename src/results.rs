use serde::{Deserialize, Serialize};

use crate::table::table;
use crate::{FractionComparison, FractionProbes};

/// The three backbones that a study compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// The checkpoint as it came.
    Base,
    /// Continued with the base loss alone.
    Continued,
    /// Continued with the base loss and E2MC.
    E2mc,
}

impl Branch {
    /// All, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Base, Self::Continued, Self::E2mc];

    /// Name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Continued => "continued",
            Self::E2mc => "e2mc",
        }
    }

    /// Name in tables and figures.
    pub fn title(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Continued => "continued",
            Self::E2mc => "+ E2MC",
        }
    }
}

/// What a study found; `results.json` of the run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyResults {
    /// Probes of each branch, in the order of [`Branch::ALL`].
    pub probes: Vec<(Branch, Vec<FractionProbes>)>,
    /// The branch with E2MC against the continued one.
    pub e2mc_against_continued: Vec<FractionComparison>,
    /// The continued branch against the base.
    pub continued_against_base: Vec<FractionComparison>,
}

impl StudyResults {
    /// The results as a table for the terminal.
    pub fn table(&self) -> String {
        table(self)
    }
}
