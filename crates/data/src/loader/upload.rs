//! The transfer of a batch to the devices while they compute on the batch before.

use std::sync::mpsc::{Receiver, SyncSender};

use burn::tensor::Device;

use super::batch::{DeviceBatch, HostBatch};
use crate::Result;

/// Sends each batch to `devices`, then waits until it is taken. So one batch is there ahead. In a
/// thread of its own: backends have a queue of operations for each thread, and in the queue of the
/// training the transfer would wait for the step.
pub(super) fn upload_batches(
    batches: Receiver<Result<HostBatch>>,
    devices: &[Device],
    uploaded: &SyncSender<Result<DeviceBatch>>,
) {
    for batch in batches {
        if uploaded
            .send(batch.and_then(|batch| batch.upload(devices)))
            .is_err()
        {
            return;
        }
    }
}
