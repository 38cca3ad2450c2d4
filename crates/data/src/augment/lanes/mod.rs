//! Arithmetic on sixteen pixels at once, and transposition from rows to columns of sixteen and
//! back, for operations along rows. Each instruction set has its own implementation: in loops over
//! arrays, the compiler would keep the values in memory, where every operation waits for the
//! previous one.

mod columns;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use columns::{Rows, read_columns, write_rows};
use plain::Plain;
use pulp::Arch;

/// The side of a transposed block: the number of rows processed at once.
pub(super) const LANES: usize = 16;

/// Sixteen bytes, one of each row.
pub(super) type Column = [u8; LANES];

/// The operations of one instruction set.
pub(super) trait Lanes: Copy {
    /// Sixteen numbers of 32 bits in registers; all operations wrap.
    type Numbers: Copy;

    /// `value` in each.
    fn splat(self, value: i32) -> Self::Numbers;

    /// The bytes as numbers.
    fn widen(self, bytes: &Column) -> Self::Numbers;

    fn add(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;

    fn multiply(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers;

    /// The highest 8 bits as numbers.
    fn top_bytes(self, numbers: Self::Numbers) -> Self::Numbers;

    /// The bytes of numbers from 0 to 255.
    fn narrow(self, numbers: Self::Numbers) -> Column;

    /// Signed numbers without their last `bits`, clipped to a byte.
    fn clip(self, numbers: Self::Numbers, bits: u32) -> Column;

    /// Rows to columns, or columns to rows.
    fn transpose(self, rows: [&Column; LANES]) -> [Column; LANES];
}

/// Code that runs with the lanes of any instruction set.
pub(super) trait Pass {
    fn run(self, lanes: impl Lanes);
}

/// Runs the pass with the lanes of `arch`.
pub(super) fn dispatch(arch: Arch, pass: impl Pass) {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => arch.dispatch(
            #[inline(always)]
            || pass.run(simd),
        ),
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => arch.dispatch(
            #[inline(always)]
            || pass.run(simd),
        ),
        _ => arch.dispatch(
            #[inline(always)]
            || pass.run(Plain),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::tests::each_arch;

    #[test]
    fn rows_become_columns() {
        struct Transpose;

        impl Pass for Transpose {
            fn run(self, lanes: impl Lanes) {
                let block: [Column; LANES] = std::array::from_fn(|row| {
                    std::array::from_fn(|column| (16 * row + column) as u8)
                });
                let transposed = lanes.transpose(block.each_ref());
                for (row, values) in block.iter().enumerate() {
                    for (column, value) in values.iter().enumerate() {
                        assert_eq!(transposed[column][row], *value);
                    }
                }
            }
        }

        each_arch(|arch| dispatch(arch, Transpose));
    }
}
