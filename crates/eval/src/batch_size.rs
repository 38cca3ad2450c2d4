use e2mc_resnet::ResNet;

use crate::HostMemory;

/// What is assumed where the system does not tell how much memory is free.
const ASSUMED_FREE: u64 = 4 << 30;
/// The part of the free memory that the activations may take.
const SHARE: u64 = 4;
/// Larger batches are not faster on a CPU.
const MAX_BATCH: u64 = 64;
/// Maps of the first stage's size that are in memory at once: inputs, outputs, and the patches of a convolution.
const MAPS: u64 = 8;

/// The number of images of `height` x `width` pixels that go through the backbone at once, so that its activations take at
/// most a quarter of the memory that is free: from 1 to 64.
///
/// This is the memory of the machine: on a GPU with less, name the batch size.
pub fn batch_size_for_memory(backbone: &ResNet, height: usize, width: usize) -> usize {
    let [channels, _, _, _] = backbone.layer1.first().map_or([64, 0, 0, 0], |block| {
        block.conv3.as_ref().unwrap_or(&block.conv2).weight.dims()
    });
    let stride = backbone.conv1.stride[0] * if backbone.max_pool.is_some() { 2 } else { 1 };
    let map = channels * height.div_ceil(stride) * width.div_ceil(stride) * size_of::<f32>();
    let free = HostMemory::now().map_or(ASSUMED_FREE, |memory| memory.available);
    (free / SHARE / (MAPS * map as u64).max(1)).clamp(1, MAX_BATCH) as usize
}
