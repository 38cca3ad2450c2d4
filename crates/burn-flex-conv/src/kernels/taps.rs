//! Which taps of a kernel meet which positions.

use super::ConvShape;

/// A tap of the kernel: its number in the weight, and the offset in the source of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    pub index: usize,
    pub offset: [isize; 2],
}

/// The taps of the forward product, without taps that only meet padding.
pub(super) fn forward(shape: &ConvShape) -> Vec<Tap> {
    let output = shape.output();
    select(shape, |axis, tap| {
        let first = (tap * shape.dilation[axis]) as isize - shape.padding[axis] as isize;
        let size = shape.input[axis] as isize;
        // Whether any of the places first, first + stride, ... lies in the map.
        let step = shape.stride[axis] as isize;
        let before = (-first).max(0);
        let next = first + (before + step - 1) / step * step;
        let last = first + (output[axis] as isize - 1) * step;
        (next < size && next <= last).then_some(first)
    })
}

/// The taps by which input positions `phase + i * stride` reach outputs, with the offset from
/// output `i`.
pub(super) fn backward(shape: &ConvShape, phase: [usize; 2]) -> Vec<Tap> {
    select(shape, |axis, tap| {
        let reach =
            (phase[axis] + shape.padding[axis]) as isize - (tap * shape.dilation[axis]) as isize;
        let stride = shape.stride[axis] as isize;
        (reach.rem_euclid(stride) == 0).then(|| reach.div_euclid(stride))
    })
}

/// `offset` returns the offset of a tap along an axis, or `None` to leave the tap out.
fn select(shape: &ConvShape, offset: impl Fn(usize, usize) -> Option<isize>) -> Vec<Tap> {
    let [height, width] = shape.kernel;
    let mut taps: Vec<Tap> = (0..height * width)
        .filter_map(|index| {
            let (y, x) = (offset(0, index / width)?, offset(1, index % width)?);
            Some(Tap {
                index,
                offset: [y, x],
            })
        })
        .collect();
    // In the order of the source, so that neighbors are read together.
    taps.sort_by_key(|tap| tap.offset);
    taps
}

/// The offsets alone.
pub(super) fn offsets(taps: &[Tap]) -> Vec<[isize; 2]> {
    taps.iter().map(|tap| tap.offset).collect()
}
