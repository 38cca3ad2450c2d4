//! Transposition of linear weights: PyTorch keeps `[out, in]`, Burn `[in, out]`.

use burn::tensor::TensorData;

use super::bytes::aligned;

/// Side of a tile. A tile is copied out and in row by row. The rows of a large matrix compete for
/// the same few cache lines, so element-wise access would evict each line before its next element
/// is used.
const TILE: usize = 64;

/// Transposes a matrix. A square one is transposed in place, since VICReg's largest are a third of
/// the file.
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

/// The transposed bytes, or `None` if transposed in place.
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
    let mut tile = empty_tile();
    for i0 in (0..rows).step_by(TILE) {
        for j0 in (0..cols).step_by(TILE) {
            load(&mut tile, values, cols, i0, j0);
            store_transposed(&tile, target, rows, j0, i0);
        }
    }
    Some(out)
}

fn transpose_square<const N: usize>(values: &mut [[u8; N]], side: usize) {
    let (mut upper, mut lower) = (empty_tile(), empty_tile());
    for i0 in (0..side).step_by(TILE) {
        for j0 in (i0..side).step_by(TILE) {
            load(&mut upper, values, side, i0, j0);
            load(&mut lower, values, side, j0, i0);
            store_transposed(&upper, values, side, j0, i0);
            store_transposed(&lower, values, side, i0, j0);
        }
    }
}

type Tile<const N: usize> = Box<[[[u8; N]; TILE]; TILE]>;

fn empty_tile<const N: usize>() -> Tile<N> {
    Box::new([[[0; N]; TILE]; TILE])
}

/// Copies the tile at `[i0, j0]` of a matrix with `cols` columns, cut off at the matrix's edges.
fn load<const N: usize>(tile: &mut Tile<N>, values: &[[u8; N]], cols: usize, i0: usize, j0: usize) {
    let width = TILE.min(cols - j0);
    for (row, tile_row) in values.chunks_exact(cols).skip(i0).zip(tile.iter_mut()) {
        tile_row[..width].copy_from_slice(&row[j0..j0 + width]);
    }
}

/// Writes the tile's columns as rows into the matrix of `cols` columns, from `[i0, j0]`.
fn store_transposed<const N: usize>(
    tile: &Tile<N>,
    values: &mut [[u8; N]],
    cols: usize,
    i0: usize,
    j0: usize,
) {
    let width = TILE.min(cols - j0);
    let rows = values.chunks_exact_mut(cols).skip(i0).take(TILE);
    for (i, row) in rows.enumerate() {
        for (value, tile_row) in row[j0..j0 + width].iter_mut().zip(tile.iter()) {
            *value = tile_row[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_transposed() {
        for [rows, cols] in [
            [1, 1],
            [3, 3],
            [64, 64],
            [150, 150],
            [1, 5],
            [150, 65],
            [64, 0],
            [0, 4],
        ] {
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
