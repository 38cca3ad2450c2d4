//! `devices.json`: the devices of a run's earlier parts, if it was resumed on others.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{read_json, write_json};
use crate::{Plan, Result};

const FILE: &str = "devices.json";

/// Devices that a part of the run was computed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    device: String,
    /// The images at once; none if the memory decides.
    images: Option<usize>,
}

impl Part {
    fn of(plan: &Plan) -> Self {
        Self {
            device: plan.device.clone(),
            images: plan.images_at_once(),
        }
    }

    /// The images that batch normalization sees together; none if the memory decides.
    fn normalized(&self, plan: &Plan) -> Option<usize> {
        let devices = match plan.sync_batch_norm {
            true => self.device.split(',').count(),
            false => 1,
        };
        Some(self.images? * devices)
    }
}

fn read(root: &Path) -> Result<Vec<Part>> {
    let path = root.join(FILE);
    match path.exists() {
        true => read_json(&path),
        false => Ok(Vec::new()),
    }
}

/// Adds the devices of the run's plan so far, before the plan changes.
pub(super) fn add(root: &Path, before: &Plan) -> Result<()> {
    let mut parts = read(root)?;
    let part = Part::of(before);
    // A process killed between this file and the plan has added them already.
    if parts.last() != Some(&part) {
        parts.push(part);
        write_json(&root.join(FILE), &parts)?;
    }
    Ok(())
}

/// What the changes of devices mean for the numbers, in words; None without one.
pub(crate) fn moves_in_words(root: &Path, plan: &Plan) -> Result<Option<String>> {
    let parts = read(root)?;
    if parts.is_empty() {
        return Ok(None);
    }
    let now = Part::of(plan);
    let names: Vec<&str> = parts.iter().map(|part| part.device.as_str()).collect();
    let images = now.normalized(plan);
    let same = images.is_some() && parts.iter().all(|part| part.normalized(plan) == images);
    let meaning = match same {
        true => {
            "batch normalization sees as many images at once as before, so only rounding and its \
             running statistics differ"
        }
        false => {
            "batch normalization may see other numbers of images at once and then differs, and \
             branches are not strictly comparable"
        }
    };
    Ok(Some(format!(
        "the run began on {} and was resumed on {}: {meaning}",
        names.join(", then "),
        now.device
    )))
}
