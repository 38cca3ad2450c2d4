use super::{Column, LANES, Lanes};

/// Rows of `width` bytes at a distance of `stride` bytes.
#[derive(Clone, Copy)]
pub(in crate::augment) struct Rows<'a> {
    pub(in crate::augment) bytes: &'a [u8],
    pub(in crate::augment) stride: usize,
    pub(in crate::augment) width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(in crate::augment) fn row(&self, y: usize) -> &'a [u8] {
        &self.bytes[y * self.stride..][..self.width]
    }
}

/// Reads the columns of the sixteen rows from `top` on. Row `last` is repeated below itself.
#[inline(always)]
pub(in crate::augment) fn read_columns(
    lanes: impl Lanes,
    from: &Rows<'_>,
    top: usize,
    last: usize,
    columns: &mut [Column],
) {
    let width = from.width;
    let mut rows = [from.row(top); LANES];
    for (lane, row) in rows.iter_mut().enumerate() {
        *row = from.row((top + lane).min(last));
    }
    if width < LANES {
        for (x, column) in columns[..width].iter_mut().enumerate() {
            *column = rows.map(|row| row[x]);
        }
        return;
    }
    for x in (0..width).step_by(LANES) {
        // The last block ends with the row and overlaps columns that were already read.
        let x = x.min(width - LANES);
        let mut block = [&[0; LANES]; LANES];
        for (block, row) in block.iter_mut().zip(&rows) {
            *block = row[x..x + LANES].try_into().expect("sixteen bytes");
        }
        columns[x..x + LANES].copy_from_slice(&lanes.transpose(block));
    }
}

/// Writes the first rows of `width` columns, as many rows as `out` has. There is room for whole
/// blocks of columns.
#[inline(always)]
pub(in crate::augment) fn write_rows(
    lanes: impl Lanes,
    columns: &[Column],
    out: &mut [u8],
    width: usize,
) {
    for (block, columns) in columns.as_chunks::<LANES>().0.iter().enumerate() {
        let x = block * LANES;
        let count = LANES.min(width - x);
        for (out, row) in out
            .chunks_exact_mut(width)
            .zip(lanes.transpose(columns.each_ref()))
        {
            if count == LANES {
                out[x..x + LANES].copy_from_slice(&row);
            } else {
                out[x..].copy_from_slice(&row[..count]);
            }
        }
    }
}
