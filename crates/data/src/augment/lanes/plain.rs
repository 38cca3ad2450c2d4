use super::{Column, LANES, Lanes};

/// The lanes of every other instruction set.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Lanes for Plain {
    type Numbers = [i32; LANES];

    #[inline(always)]
    fn splat(self, value: i32) -> Self::Numbers {
        [value; LANES]
    }

    #[inline(always)]
    fn widen(self, bytes: &Column) -> Self::Numbers {
        bytes.map(i32::from)
    }

    #[inline(always)]
    fn add(self, mut a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        for (a, b) in a.iter_mut().zip(b) {
            *a = a.wrapping_add(b);
        }
        a
    }

    #[inline(always)]
    fn multiply(self, mut a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        for (a, b) in a.iter_mut().zip(b) {
            *a = a.wrapping_mul(b);
        }
        a
    }

    #[inline(always)]
    fn top_bytes(self, numbers: Self::Numbers) -> Self::Numbers {
        numbers.map(|number| (number as u32 >> 24) as i32)
    }

    #[inline(always)]
    fn narrow(self, numbers: Self::Numbers) -> Column {
        numbers.map(|number| number as u8)
    }

    #[inline(always)]
    fn clip(self, numbers: Self::Numbers, bits: u32) -> Column {
        numbers.map(|number| (number >> bits).clamp(0, 255) as u8)
    }

    #[inline(always)]
    fn transpose(self, rows: [&Column; LANES]) -> [Column; LANES] {
        let mut transposed = [[0; LANES]; LANES];
        for (row, values) in rows.into_iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                transposed[column][row] = *value;
            }
        }
        transposed
    }
}
