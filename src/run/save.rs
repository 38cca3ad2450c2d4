use std::time::Duration;

use crate::Error;

/// How often a training saves its state. Decides no number of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePlan {
    /// Steps between two saves; none: by time and epochs only.
    pub every_steps: Option<usize>,
    /// Time between two saves.
    pub every: Duration,
    /// How many states of a branch are kept, at least 1.
    pub keep: usize,
}

impl Default for SavePlan {
    /// After each epoch and every 10 minutes; the last 2 are kept.
    fn default() -> Self {
        Self {
            every_steps: None,
            every: Duration::from_secs(600),
            keep: 2,
        }
    }
}

impl SavePlan {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.every_steps == Some(0) {
            return Err(Error::invalid("save_every_steps", 0, "at least 1"));
        }
        if self.keep == 0 {
            return Err(Error::invalid("keep_states", 0, "at least 1"));
        }
        Ok(())
    }
}
