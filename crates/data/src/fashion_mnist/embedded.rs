use std::io::Read;

use lzma_rust2::LzmaReader;

use super::{SIDE, classes};
use crate::ImageSet;

/// Images in each of the two sets.
const COUNT: usize = 10_000;

/// The embedded training images: the first 1,000 of each class among the 60,000 original ones, in
/// their original order.
///
/// Decoding takes a few tenths of a second; keep the result.
pub fn embedded_train() -> ImageSet {
    decode(
        "Fashion-MNIST (10,000 embedded training images)",
        include_bytes!("../../embedded/fashion-mnist-train.lzma"),
    )
}

/// The 10,000 original test images in their original order.
///
/// Decoding takes a few tenths of a second; keep the result.
pub fn embedded_test() -> ImageSet {
    decode(
        "Fashion-MNIST (10,000 test images)",
        include_bytes!("../../embedded/fashion-mnist-test.lzma"),
    )
}

/// A set from the file that tests/reference/embed_fashion_mnist.py wrote: the labels, then the
/// images, each transposed (LZMA compresses columns of clothes better than rows).
fn decode(name: &str, file: &[u8]) -> ImageSet {
    let size = SIDE * SIDE;
    let mut bytes = Vec::with_capacity(COUNT * (1 + size));
    LzmaReader::new_mem_limit(file, u32::MAX, None)
        .and_then(|mut reader| reader.read_to_end(&mut bytes))
        .expect("the embedded file is intact");
    let (labels, transposed) = bytes.split_at(COUNT);
    let mut pixels = vec![0; transposed.len()];
    for (from, to) in transposed
        .chunks_exact(size)
        .zip(pixels.chunks_exact_mut(size))
    {
        for (x, column) in from.chunks_exact(SIDE).enumerate() {
            for (y, pixel) in column.iter().enumerate() {
                to[y * SIDE + x] = *pixel;
            }
        }
    }
    ImageSet::new(
        name,
        pixels,
        [1, SIDE, SIDE],
        labels.iter().map(|&label| u32::from(label)).collect(),
        classes(),
    )
    .expect("the embedded file is consistent")
}
