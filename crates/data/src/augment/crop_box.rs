use serde::{Deserialize, Serialize};

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropBox {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
}

impl CropBox {
    /// The whole of an image of `height` x `width` pixels.
    pub fn whole(height: usize, width: usize) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }

    /// Whether the box is not empty and lies in an image of `height` x `width` pixels.
    pub(super) fn is_within(&self, height: usize, width: usize) -> bool {
        self.height > 0
            && self.width > 0
            && self.top + self.height <= height
            && self.left + self.width <= width
    }
}
