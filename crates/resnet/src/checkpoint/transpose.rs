//! Transposition of linear weights: PyTorch keeps `[out, in]`, Burn `[in, out]`.

use burn::tensor::TensorData;

use super::bytes::aligned;

/// Side of the tiles that are transposed at a time; a tile of f32 is a quarter of the nearest cache.
const TILE: usize = 32;

/// Transposes a matrix; a square one in its own memory, since VICReg's largest are a third of the whole file.
pub(super) fn transpose(data: TensorData) -> TensorData {
    let (mut bytes, shape, dtype) = data.into_parts();
    let [rows, cols] = [shape[0], shape[1]];
    let transposed = match dtype.size() {
        1 => transpose_elements::<1>(&mut bytes, rows, cols),
        2 => transpose_elements::<2>(&mut bytes, rows, cols),
        4 => transpose_elements::<4>(&mut bytes, rows, cols),
        8 => transpose_elements::<8>(&mut bytes, rows, cols),
        size => unreachable!("no element type has {size} bytes"),
    };
    let bytes = transposed.map_or(bytes, aligned);
    TensorData::from_bytes(bytes, [cols, rows], dtype)
}

/// The transposed bytes, or `None` if it was done in place.
fn transpose_elements<const N: usize>(
    bytes: &mut [u8],
    rows: usize,
    cols: usize,
) -> Option<Vec<u8>> {
    let (values, _) = bytes.as_chunks_mut::<N>();
    if rows == cols {
        transpose_square(values, rows);
        return None;
    }
    let mut out = vec![0; values.len() * N];
    let (target, _) = out.as_chunks_mut::<N>();
    for i0 in (0..rows).step_by(TILE) {
        for j0 in (0..cols).step_by(TILE) {
            for j in j0..cols.min(j0 + TILE) {
                for i in i0..rows.min(i0 + TILE) {
                    target[j * rows + i] = values[i * cols + j];
                }
            }
        }
    }
    Some(out)
}

fn transpose_square<const N: usize>(values: &mut [[u8; N]], side: usize) {
    for i0 in (0..side).step_by(TILE) {
        for j0 in (i0..side).step_by(TILE) {
            for i in i0..side.min(i0 + TILE) {
                // On the diagonal only the upper half, or all would be swapped back.
                let from = if i0 == j0 { i + 1 } else { j0 };
                for j in from..side.min(j0 + TILE) {
                    values.swap(i * side + j, j * side + i);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_transposed() {
        for [rows, cols] in [[1, 1], [3, 3], [32, 32], [70, 70], [1, 5], [70, 33], [0, 4]] {
            let values: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
            let transposed = transpose(TensorData::new(values.clone(), [rows, cols]));
            assert_eq!(transposed.shape().to_vec(), [cols, rows]);
            let found = transposed.try_into_vec::<f32>().unwrap();
            for i in 0..rows {
                for j in 0..cols {
                    assert_eq!(found[j * rows + i], values[i * cols + j]);
                }
            }
        }
    }
}
