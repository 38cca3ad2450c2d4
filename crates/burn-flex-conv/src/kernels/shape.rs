use core::fmt;

/// The sizes of a 2-d convolution without groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Positions from one output to the next.
    pub stride: [usize; 2],
    /// Zeros on each side of the input.
    pub padding: [usize; 2],
    /// Positions from one tap of the kernel to the next.
    pub dilation: [usize; 2],
}

impl ConvShape {
    /// Height and width of the output.
    ///
    /// # Panics
    ///
    /// If the kernel is larger than the padded input, or a stride, dilation or size is 0.
    pub fn output(&self) -> [usize; 2] {
        core::array::from_fn(|axis| {
            let padded = self.input[axis] + 2 * self.padding[axis];
            assert!(
                self.kernel[axis] > 0 && self.stride[axis] > 0 && self.dilation[axis] > 0,
                "convolution: kernel, stride and dilation must be at least 1, but are {self}"
            );
            let span = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            assert!(
                self.input[axis] > 0 && padded >= span,
                "convolution: the kernel does not fit into the padded input: {self}"
            );
            (padded - span) / self.stride[axis] + 1
        })
    }

    /// Positions of the output, over the whole batch.
    pub fn positions(&self) -> usize {
        let [height, width] = self.output();
        self.batch * height * width
    }

    /// Values of the input: `batch * height * width * channels_in`.
    pub fn input_len(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels_in
    }

    /// Values of the output: `positions * channels_out`.
    pub fn output_len(&self) -> usize {
        self.positions() * self.channels_out
    }

    /// Values of the weight: `channels_out * channels_in * kernel height * kernel width`.
    pub fn weight_len(&self) -> usize {
        self.channels_out * self.channels_in * self.kernel[0] * self.kernel[1]
    }
}

impl fmt::Display for ConvShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "input [{}, {}, {}, {}], weight [{}, {}, {}, {}], \
             stride {:?}, padding {:?}, dilation {:?}",
            self.batch,
            self.channels_in,
            self.input[0],
            self.input[1],
            self.channels_out,
            self.channels_in,
            self.kernel[0],
            self.kernel[1],
            self.stride,
            self.padding,
            self.dilation
        )
    }
}
