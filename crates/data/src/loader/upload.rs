//! The transfer of a batch to the device while the device computes on the batch before.

use std::sync::mpsc::{Receiver, SyncSender};

use burn::tensor::Device;

use super::batch::{DeviceBatch, HostBatch};
use crate::Result;

/// Sends each batch to `device`, then waits until it is taken. So one batch is there ahead. In a
/// thread of its own: backends have a queue of operations for each thread, and in the queue of the
/// training the transfer would wait for the step.
pub(super) fn upload_batches(
    batches: Receiver<Result<HostBatch>>,
    device: &Device,
    uploaded: &SyncSender<Result<DeviceBatch>>,
) {
    for batch in batches {
        if uploaded
            .send(batch.map(|batch| batch.upload(device)))
            .is_err()
        {
            return;
        }
    }
}
