//! The convolution and its two gradients, on feature maps with the channels last.

use pulp::{Arch, Simd, WithSimd};

use super::ConvShape;
use super::gather::Gather;
use super::memory::filled;
use super::pack::Packed;
use super::product::{Epilogue, Product};
use super::taps::{self, Tap, offsets};
use super::tile::most_rows;
use super::weight_gradient::weight_gradient;

/// The output `[batch, height, width, channels_out]`, given the input
/// `[batch, height, width, channels_in]` and the weight
/// `[channels_out, channels_in, kernel height, kernel width]`, with `epilogue` applied to it.
///
/// # Panics
///
/// If a length does not match the shape.
pub fn conv2d(
    arch: Arch,
    input: &[f32],
    weight: &[f32],
    shape: &ConvShape,
    epilogue: Option<Epilogue<'_>>,
) -> Vec<f32> {
    check(
        shape,
        ("input", input.len(), shape.input_len()),
        weight.len(),
    );
    let taps = taps::forward(shape);
    let grid = shape.output();
    let patches = Gather::new(
        input,
        shape.input,
        shape.channels_in,
        grid,
        shape.stride,
        &offsets(&taps),
    );
    let packed = arch.dispatch(Pack {
        weight,
        shape,
        taps: &taps,
        forward: true,
    });
    let columns = shape.channels_out;
    if let Some(Epilogue {
        scale,
        shift,
        residual,
        ..
    }) = &epilogue
    {
        assert!(
            scale.len() == columns && shift.len() == columns,
            "epilogue of {shape}"
        );
        assert!(residual.is_none_or(|residual| residual.len() == shape.output_len()));
    }
    let work = |out: &mut [f32]| {
        let product = Product {
            patches: &patches,
            rows: shape.positions(),
            weight: &packed,
            out,
            place: |row| row * columns,
            add: false,
            epilogue,
        };
        product.run(arch, arch.dispatch(MostRows));
    };
    // SAFETY: the product sets every row.
    unsafe { filled(shape.output_len(), work) }
}

/// The gradient of the input, given the gradient of the output. Both have the channels last.
///
/// # Panics
///
/// If a length does not match the shape.
pub fn conv2d_input_gradient(
    arch: Arch,
    gradient: &[f32],
    weight: &[f32],
    shape: &ConvShape,
) -> Vec<f32> {
    let work = |out: &mut [f32]| input_gradient(arch, gradient, weight, shape, out, false);
    // SAFETY: the whole gradient is set.
    unsafe { filled(shape.input_len(), work) }
}

/// As [`conv2d_input_gradient`], added to `sum`.
///
/// # Panics
///
/// If a length does not match the shape.
pub fn add_conv2d_input_gradient(
    arch: Arch,
    gradient: &[f32],
    weight: &[f32],
    shape: &ConvShape,
    sum: &mut [f32],
) {
    assert_eq!(sum.len(), shape.input_len(), "sum of gradients: {shape}");
    input_gradient(arch, gradient, weight, shape, sum, true);
}

/// Sets every value of `out`, or adds to it.
fn input_gradient(
    arch: Arch,
    gradient: &[f32],
    weight: &[f32],
    shape: &ConvShape,
    out: &mut [f32],
    add: bool,
) {
    let length = ("gradient", gradient.len(), shape.output_len());
    check(shape, length, weight.len());
    // One product for each set of input positions that the same taps reach.
    for y in 0..shape.stride[0].min(shape.input[0]) {
        for x in 0..shape.stride[1].min(shape.input[1]) {
            input_gradient_phase(arch, gradient, weight, shape, [y, x], out, add);
        }
    }
}

fn input_gradient_phase(
    arch: Arch,
    gradient: &[f32],
    weight: &[f32],
    shape: &ConvShape,
    phase: [usize; 2],
    out: &mut [f32],
    add: bool,
) {
    let taps = taps::backward(shape, phase);
    let [grid_height, grid_width] =
        [0, 1].map(|axis| (shape.input[axis] - phase[axis]).div_ceil(shape.stride[axis]));
    let patches = Gather::new(
        gradient,
        shape.output(),
        shape.channels_out,
        [grid_height, grid_width],
        [1, 1],
        &offsets(&taps),
    );
    let packed = arch.dispatch(Pack {
        weight,
        shape,
        taps: &taps,
        forward: false,
    });
    let product = Product {
        patches: &patches,
        rows: shape.batch * grid_height * grid_width,
        weight: &packed,
        out,
        place: |row| {
            let (line, x) = (row / grid_width, row % grid_width);
            let (image, y) = (line / grid_height, line % grid_height);
            let y = phase[0] + y * shape.stride[0];
            let x = phase[1] + x * shape.stride[1];
            ((image * shape.input[0] + y) * shape.input[1] + x) * shape.channels_in
        },
        add,
        epilogue: None,
    };
    product.run(arch, arch.dispatch(MostRows));
}

/// The gradient of the weight, `[channels_out, channels_in, kernel height, kernel width]`, given
/// the input and the gradient of the output. Both have the channels last.
///
/// # Panics
///
/// If a length does not match the shape.
pub fn conv2d_weight_gradient(
    arch: Arch,
    input: &[f32],
    gradient: &[f32],
    shape: &ConvShape,
) -> Vec<f32> {
    check(
        shape,
        ("input", input.len(), shape.input_len()),
        shape.weight_len(),
    );
    assert_eq!(
        gradient.len(),
        shape.output_len(),
        "gradient of a convolution: {shape}"
    );
    let taps = taps::forward(shape);
    let patches = Gather::new(
        input,
        shape.input,
        shape.channels_in,
        shape.output(),
        shape.stride,
        &offsets(&taps),
    );
    weight_gradient(arch, &patches, gradient, shape, &taps)
}

fn check(shape: &ConvShape, (name, found, expected): (&str, usize, usize), weight: usize) {
    assert_eq!(found, expected, "{name} of a convolution: {shape}");
    assert_eq!(
        weight,
        shape.weight_len(),
        "weight of a convolution: {shape}"
    );
}

struct Pack<'a> {
    weight: &'a [f32],
    shape: &'a ConvShape,
    taps: &'a [Tap],
    forward: bool,
}

impl WithSimd for Pack<'_> {
    type Output = Packed;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Packed {
        if self.forward {
            Packed::forward::<S>(self.weight, self.shape, self.taps)
        } else {
            Packed::backward::<S>(self.weight, self.shape, self.taps)
        }
    }
}

/// Rows of the largest tile.
struct MostRows;

impl WithSimd for MostRows {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        most_rows::<S>()
    }
}
