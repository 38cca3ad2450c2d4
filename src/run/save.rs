use std::time::Duration;

use crate::{Error, Result};

/// How often a training saves its state. Does not affect a run's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavePlan {
    /// Steps between two saves. None: by time and epochs only.
    pub every_steps: Option<usize>,
    /// Time between two saves.
    pub every: Duration,
    /// Number of saved states to keep per branch, at least 1.
    pub keep: usize,
}

impl Default for SavePlan {
    /// After each epoch and every 10 minutes, keeping the last 2.
    fn default() -> Self {
        Self {
            every_steps: None,
            every: Duration::from_secs(600),
            keep: 2,
        }
    }
}

impl SavePlan {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.every_steps == Some(0) {
            return Err(Error::invalid("save_every_steps", 0, "at least 1"));
        }
        if self.keep == 0 {
            return Err(Error::invalid("keep_states", 0, "at least 1"));
        }
        Ok(())
    }
}
