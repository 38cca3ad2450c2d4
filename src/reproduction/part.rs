use std::fmt;

/// A table or figure of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// Table 1: linear probes of three methods.
    Table1,
    /// Table 2: fine-tuning on few labels, and transfer.
    Table2,
    /// Table 3: other criteria.
    Table3,
    /// Table D.1: significance.
    TableD1,
    /// Table D.2: the weights of entropy and covariance.
    TableD2,
    /// Figures 2 and D.1: marginals of the embeddings.
    Figure2,
    /// Figure 3: distances to the 1st and the 100th neighbor.
    Figure3,
    /// Figure 4: accuracy over the epochs.
    Figure4,
}

impl Part {
    /// All of them, in the paper's order.
    pub const ALL: [Self; 8] = [
        Self::Table1,
        Self::Table2,
        Self::Table3,
        Self::TableD1,
        Self::TableD2,
        Self::Figure2,
        Self::Figure3,
        Self::Figure4,
    ];

    /// The table of this number: 1, 2, 3, D.1 or D.2.
    ///
    /// # Errors
    ///
    /// A message with the valid numbers.
    pub fn table(number: &str) -> Result<Self, String> {
        match number {
            "1" => Ok(Self::Table1),
            "2" => Ok(Self::Table2),
            "3" => Ok(Self::Table3),
            "D.1" | "d.1" => Ok(Self::TableD1),
            "D.2" | "d.2" => Ok(Self::TableD2),
            _ => Err("one of 1, 2, 3, D.1, D.2".into()),
        }
    }

    /// The figure of this number: 2, D.1, 3 or 4. Figures 2 and D.1 are one.
    ///
    /// # Errors
    ///
    /// A message with the valid numbers.
    pub fn figure(number: &str) -> Result<Self, String> {
        match number {
            "2" | "D.1" | "d.1" => Ok(Self::Figure2),
            "3" => Ok(Self::Figure3),
            "4" => Ok(Self::Figure4),
            _ => Err("one of 2, D.1, 3, 4".into()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table1 => "Table 1",
            Self::Table2 => "Table 2",
            Self::Table3 => "Table 3",
            Self::TableD1 => "Table D.1",
            Self::TableD2 => "Table D.2",
            Self::Figure2 => "Figures 2 and D.1",
            Self::Figure3 => "Figure 3",
            Self::Figure4 => "Figure 4",
        })
    }
}
