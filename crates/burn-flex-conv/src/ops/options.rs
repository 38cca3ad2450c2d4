/// Options of a convolution, height first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvOptions {
    /// Positions from one output to the next, at least 1.
    pub stride: [usize; 2],
    /// Zeros on each side of the input.
    pub padding: [usize; 2],
    /// Positions from one tap of the kernel to the next, at least 1.
    pub dilation: [usize; 2],
}

/// Options of a batch normalization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormOptions {
    /// Added to the variance, positive.
    pub epsilon: f64,
    /// Whether negative values become 0 at the end.
    pub relu: bool,
}

/// The windows of a max pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolOptions {
    /// Height and width of a window, from 1 to 15.
    pub kernel: usize,
    /// Positions from one window to the next, at least 1.
    pub stride: usize,
    /// Positions on each side of the input, at most half the window.
    pub padding: usize,
}
