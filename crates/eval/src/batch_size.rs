use e2mc_resnet::ResNet;

use crate::HostMemory;

/// Assumed free memory, for systems that do not report it.
const ASSUMED_FREE: u64 = 4 << 30;
/// Activations may take 1 / `SHARE` of the free memory.
const SHARE: u64 = 4;
/// Larger batches are not faster on a CPU.
const MAX_BATCH: u64 = 64;
/// Feature maps of the first stage's size in memory at once: inputs, outputs, and the patches of a
/// convolution.
const MAPS: u64 = 8;

/// The batch size, from 1 to 64, at which the backbone's activations on images of `height` x
/// `width` pixels take at most a quarter of the free memory.
///
/// This looks at the host's memory. On a GPU with less memory, choose the batch size yourself.
pub fn batch_size_for_memory(backbone: &ResNet, height: usize, width: usize) -> usize {
    let [channels, _, _, _] = backbone.layer1.first().map_or([64, 0, 0, 0], |block| {
        block.conv3.as_ref().unwrap_or(&block.conv2).weight.dims()
    });
    let stride = backbone.conv1.stride[0] * if backbone.max_pool.is_some() { 2 } else { 1 };
    let map = channels * height.div_ceil(stride) * width.div_ceil(stride) * size_of::<f32>();
    let free = HostMemory::now().map_or(ASSUMED_FREE, |memory| memory.available);
    (free / SHARE / (MAPS * map as u64).max(1)).clamp(1, MAX_BATCH) as usize
}
