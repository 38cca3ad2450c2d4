/// Memory above this is freed: an image of 22 megapixels.
const HUGE_BYTES: usize = 64 << 20;

/// A decoded image: u8, interleaved `[height, width, channels]`, 3 channels (RGB as PIL's
/// `convert("RGB")` gives it) or 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Photo {
    pixels: Vec<u8>,
    shape: [usize; 3],
}

impl Photo {
    /// Creates an image from its pixels.
    ///
    /// # Panics
    ///
    /// If `pixels` does not hold `shape` = `[height, width, channels]`, a side is 0, or there are
    /// not 1 or 3 channels.
    pub fn new(pixels: Vec<u8>, shape: [usize; 3]) -> Self {
        assert!(
            matches!(shape[2], 1 | 3)
                && !shape.contains(&0)
                && pixels.len() == shape.iter().product::<usize>(),
            "{} pixel values for an image of shape {shape:?}: expected 1 or 3 channels, height \
             and width of at least 1, \
             and a value for each",
            pixels.len()
        );
        Self { pixels, shape }
    }

    /// The pixels, `[height, width, channels]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The pixels of a new image of `shape`, to be overwritten. Reuses the previous image's memory,
    /// unless that image was huge and would occupy it forever.
    pub(crate) fn refill(&mut self, shape: [usize; 3]) -> &mut [u8] {
        let bytes = shape.iter().product();
        if self.pixels.capacity() > HUGE_BYTES && self.pixels.capacity() / 4 > bytes {
            self.pixels = Vec::new();
        }
        self.pixels.resize(bytes, 0);
        self.shape = shape;
        &mut self.pixels
    }

    /// Returns the pixels. Their memory can be refilled and passed to [`new`](Self::new).
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}
