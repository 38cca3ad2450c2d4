//! Conversion between Flex's tensors and slices.

use std::borrow::Cow;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, TensorData};

use crate::kernels::transpose;

pub(super) type FlexTensor = FloatTensor<Flex>;

/// `[n, channels, height, width]`.
pub(super) fn dims(map: &FlexTensor) -> [usize; 4] {
    map.layout().shape().dims()
}

/// The values of a map with the channels last: borrowed if the tensor stores them that way, else a
/// copy.
pub(super) fn channels_last(map: &FlexTensor) -> Cow<'_, [f32]> {
    assert_eq!(map.dtype(), DType::F32, "burn-flex-conv computes in f32");
    let [n, channels, height, width] = dims(map);
    let strides = [height * width * channels, 1, width * channels, channels];
    let in_place = [n, channels, height, width]
        .iter()
        .zip(map.layout().strides())
        .zip(strides)
        .all(|((&size, &found), wanted)| size <= 1 || found == wanted as isize);
    if in_place {
        let start = map.layout().start_offset();
        return Cow::Borrowed(&map.storage::<f32>()[start..][..n * channels * height * width]);
    }
    let contiguous = map.to_contiguous();
    let values = contiguous.as_slice::<f32>().expect("a contiguous tensor");
    Cow::Owned(transpose(values, channels, height * width))
}

/// As [`channels_last`], as a tensor.
pub(super) fn into_channels_last(map: FlexTensor) -> FlexTensor {
    let copied = match channels_last(&map) {
        Cow::Borrowed(_) => None,
        Cow::Owned(values) => Some(values),
    };
    match copied {
        None => map,
        Some(values) => map_from(values, dims(&map)),
    }
}

/// The values of a vector or a weight, in order.
pub(super) fn contiguous(tensor: &FlexTensor) -> Cow<'_, [f32]> {
    assert_eq!(tensor.dtype(), DType::F32, "burn-flex-conv computes in f32");
    match tensor.layout().contiguous_offsets() {
        Some((start, end)) => Cow::Borrowed(&tensor.storage::<f32>()[start..end]),
        None => {
            let tensor = tensor.to_contiguous();
            Cow::Owned(tensor.as_slice::<f32>().expect("contiguous").to_vec())
        }
    }
}

/// A map `[n, channels, height, width]` from values with the channels last.
pub(super) fn map_from(values: Vec<f32>, [n, channels, height, width]: [usize; 4]) -> FlexTensor {
    tensor(values, [n, height, width, channels]).permute(&[0, 3, 1, 2])
}

pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
