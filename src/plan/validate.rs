use std::path::Path;

use ssl_methods::leaves_single_image;

use super::{BASE, MethodPlan, MicroBatch, OptimizerRule, Plan, Start};
use crate::{Error, Result};

impl Plan {
    /// Checks every setting that can be checked without reading files.
    ///
    /// # Errors
    ///
    /// For the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("skipped_steps", self.skipped_steps)?;
        at_least_one("monitor_every", self.monitor_every.unwrap_or(1))?;
        at_least_one("probe_every", self.probe_every.unwrap_or(1))?;
        if self.batch_size < 2 {
            let expected = "at least 2: the criterion compares the images of a batch";
            return Err(Error::invalid("batch_size", self.batch_size, expected));
        }
        let (devices, share) = (self.device_count(), self.share());
        if !self.batch_size.is_multiple_of(devices) || share < 2 {
            let expected = format!("an equal number of images, at least 2, for {devices} devices");
            return Err(Error::invalid("batch_size", self.batch_size, expected));
        }
        self.validate_micro_batch(share)?;
        if self.prepare && self.data.is_none() {
            let expected = "a folder of images as `data`: the embedded ones are prepared";
            return Err(Error::invalid("prepare", true, expected));
        }
        if !(0.0..=1.0).contains(&self.failure_limit) {
            let expected = "a share, from 0 to 1";
            return Err(Error::invalid(
                "failure_limit",
                self.failure_limit,
                expected,
            ));
        }
        if let MethodPlan::Swav(swav) = &self.method
            && let Some(queue) = swav.queue
        {
            at_least_one("queue.batches", queue.batches)?;
        }
        self.validate_start()?;
        self.validate_rates()?;
        self.validate_branches()?;
        self.recipe.validate()?;
        self.evaluation.validate()?;
        self.validate_views()?;
        let views = self.evaluation.view_sizes().len();
        if views != 1 {
            return Err(Error::invalid(
                "evaluation",
                format!("{views} views"),
                "one",
            ));
        }
        for probe in &self.probes {
            at_least_one("label_draws", probe.draws)?;
            probe.settings.validate()?;
        }
        Ok(self.optimizer.rule.validate()?)
    }

    /// Checks the micro-batch, given a device's share of a batch.
    fn validate_micro_batch(&self, share: usize) -> Result<()> {
        if let Some(MicroBatch::Images(images)) = self.micro_batch
            && (images < 2 || leaves_single_image(share, images))
        {
            let expected = "at least 2, without a remainder of a single image in a device's share";
            return Err(Error::invalid("micro_batch", images, expected));
        }
        match (self.micro_batch, self.device_memory) {
            (Some(MicroBatch::Auto), None) if !self.device.starts_with("flex") => {
                let expected = "a number, or the memory of a device beside it: no backend reports \
                                it, so give --device-memory 24GiB, for example";
                Err(Error::invalid("micro_batch", "auto", expected))
            }
            (Some(MicroBatch::Auto), _) | (_, None) => Ok(()),
            (_, Some(bytes)) => {
                let expected = "no value, since only --micro-batch auto needs it";
                Err(Error::invalid("device_memory", bytes, expected))
            }
        }
    }

    /// Checks that the recipe's views match the method.
    fn validate_views(&self) -> Result<()> {
        let views = self.recipe.view_sizes().len();
        let expected = match self.method {
            MethodPlan::Swav(_) if views >= 2 => return Ok(()),
            MethodPlan::Swav(_) => "at least 2 views for SwAV, full-resolution views first",
            _ if views == 2 => return Ok(()),
            _ => "exactly 2 views",
        };
        Err(Error::invalid(
            "recipe",
            format!("of {views} views"),
            expected,
        ))
    }

    fn validate_start(&self) -> Result<()> {
        match (&self.start, &self.method) {
            (Start::Scratch(network), MethodPlan::Swav(_)) if network.prototypes < 2 => {
                let found = network.prototypes;
                Err(Error::invalid("prototypes", found, "at least 2 for SwAV"))
            }
            (Start::Scratch(network), MethodPlan::SimSiam) if network.predictor.is_empty() => {
                let expected = "at least one hidden size for SimSiam";
                Err(Error::invalid("predictor", "empty", expected))
            }
            _ => Ok(()),
        }
    }

    fn validate_rates(&self) -> Result<()> {
        let parts = self.optimizer.part_rates.values().copied();
        let branches = self.branches.iter().filter_map(|b| b.learning_rate);
        let rates = [self.schedule.learning_rate].into_iter();
        for rate in rates.chain(parts).chain(branches) {
            if !(rate.is_finite() && rate > 0.0) {
                return Err(Error::invalid("learning_rate", rate, "a number above 0"));
            }
        }
        Ok(())
    }

    fn validate_branches(&self) -> Result<()> {
        if self.branches.is_empty() {
            return Err(Error::invalid("branches", "empty", "at least one branch"));
        }
        for (i, branch) in self.branches.iter().enumerate() {
            let name = &branch.name;
            let is_file_name = Path::new(name).file_name() == Some(name.as_ref())
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if !is_file_name || name == BASE {
                let expected = "letters, digits, `.`, `-` and `_`, and not `base`";
                return Err(Error::invalid("branch name", name, expected));
            }
            if self.branches[..i].iter().any(|other| other.name == *name) {
                let expected = "a name for each branch: this one is given twice";
                return Err(Error::invalid("branch name", name, expected));
            }
            branch.criterion.validate()?;
        }
        Ok(())
    }

    /// Whether the optimizer has momentum, so that a checkpoint's momentum can be used.
    pub(crate) fn has_momentum(&self) -> bool {
        let sgd = match &self.optimizer.rule {
            OptimizerRule::Sgd(sgd) => sgd,
            OptimizerRule::Larc(larc) => &larc.sgd,
            OptimizerRule::Lars(lars) => &lars.sgd,
        };
        sgd.momentum > 0.0
    }
}

fn at_least_one(field: &'static str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::invalid(field, value, "at least 1")),
        _ => Ok(()),
    }
}
