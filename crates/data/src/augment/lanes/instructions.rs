//! The operations that each instruction set implements.

/// The side of a transposed block: the number of rows processed at once.
pub(in crate::augment) const LANES: usize = 16;

/// Sixteen bytes, one of each row.
pub(in crate::augment) type Column = [u8; LANES];

/// The operations of one instruction set.
pub(in crate::augment) trait Lanes: Copy {
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
