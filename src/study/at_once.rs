//! How many images pass through the network at once.

use ssl_methods::BaseMethod;

use super::device_memory::DeviceMemory;
use super::memory::{Need, gigabytes};
use crate::plan::{MicroBatch, equal_pieces};
use crate::{Error, HostMemory, Plan, Result};

/// The images that pass a device at once in the first step.
///
/// # Errors
/// If the plan leaves it to the memory, and two images do not fit in it, or it is unknown.
pub(super) fn images_at_once(
    method: &impl BaseMethod,
    plan: &Plan,
    need: Option<&Need>,
) -> Result<usize> {
    if let Some(images) = plan.images_at_once() {
        return Ok(images);
    }
    let (share, micro_batch) = (plan.share(), MicroBatch::Auto);
    let half = || HostMemory::now().map(|memory| memory.total / 2);
    let Some(bytes) = plan.device_memory.or_else(half) else {
        let expected = "a number, or --device-memory: this system does not report its memory";
        return Err(Error::invalid("micro_batch", micro_batch, expected));
    };
    let fitting = match need {
        Some(need) => need.fitting(bytes),
        // All, for a backbone that does not know its activations.
        None => DeviceMemory::of_plan(method, plan, 1).map_or(share, |one| one.fitting(bytes)),
    };
    equal_pieces(share, fitting).ok_or_else(|| {
        let expected = format!(
            "a number: by calculation, two images do not fit in {}; try a smaller network, crops \
             or batch",
            gigabytes(bytes)
        );
        Error::invalid("micro_batch", micro_batch, expected)
    })
}
