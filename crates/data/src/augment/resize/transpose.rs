//! Transposition of 16 x 16 bytes.

/// The side of a block: as many rows as the passes over rows take at once.
pub(super) const LANES: usize = 16;

/// Sixteen bytes, one of each row.
pub(super) type Column = [u8; LANES];

/// Rows to columns, or columns to rows. Four perfect shuffles of 16 registers.
#[inline(always)]
pub(super) fn transpose(mut block: [Column; LANES]) -> [Column; LANES] {
    for _ in 0..LANES.ilog2() {
        let mut shuffled = [[0; LANES]; LANES];
        for i in 0..LANES / 2 {
            [shuffled[2 * i], shuffled[2 * i + 1]] = interleave(block[i], block[i + LANES / 2]);
        }
        block = shuffled;
    }
    block
}

/// `a0 b0 a1 b1 ...`, in two halves.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn interleave(a: Column, b: Column) -> [Column; 2] {
    // Every x86-64 has it, so that this is decided at compile time. The compiler does not find these two instructions from the
    // other form.
    let simd = pulp::x86::V1::try_new().expect("SSE2").sse2;
    let (a, b) = (pulp::cast(a), pulp::cast(b));
    [
        pulp::cast(simd._mm_unpacklo_epi8(a, b)),
        pulp::cast(simd._mm_unpackhi_epi8(a, b)),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn interleave(a: Column, b: Column) -> [Column; 2] {
    std::array::from_fn(|half| std::array::from_fn(|i| [a, b][i % 2][half * LANES / 2 + i / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let block =
            std::array::from_fn(|row| std::array::from_fn(|column| (16 * row + column) as u8));
        let transposed = transpose(block);
        for (row, values) in block.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                assert_eq!(transposed[column][row], *value);
            }
        }
    }
}
