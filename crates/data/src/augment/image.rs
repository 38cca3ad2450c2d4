/// A u8 image of its own, planar `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub(super) pixels: Vec<u8>,
    pub(super) shape: [usize; 3],
}

/// A borrowed u8 image, planar `[channels, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct ImageRef<'a> {
    pixels: &'a [u8],
    shape: [usize; 3],
}

impl Image {
    /// An image from its pixels.
    ///
    /// # Panics
    /// If `pixels` does not hold `shape` = `[channels, height, width]`, a side is 0, or there are not 1 or 3 channels.
    pub fn new(pixels: Vec<u8>, shape: [usize; 3]) -> Self {
        check(&pixels, shape);
        Self { pixels, shape }
    }

    /// The image, borrowed.
    pub fn as_ref(&self) -> ImageRef<'_> {
        ImageRef {
            pixels: &self.pixels,
            shape: self.shape,
        }
    }

    /// The pixels, `[channels, height, width]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Mirrors left and right.
    pub fn flip_horizontal(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.shape[2]) {
            row.reverse();
        }
    }

    /// The red, green and blue planes, or `None` for a grey image.
    pub(super) fn rgb_planes(&mut self) -> Option<[&mut [u8]; 3]> {
        let plane = self.shape[1] * self.shape[2];
        let (red, rest) = self.pixels.split_at_mut(plane);
        (!rest.is_empty()).then(|| {
            let (green, blue) = rest.split_at_mut(plane);
            [red, green, blue]
        })
    }
}

impl<'a> ImageRef<'a> {
    /// A borrowed image.
    ///
    /// # Panics
    /// If `pixels` does not hold `shape` = `[channels, height, width]`, a side is 0, or there are not 1 or 3 channels.
    pub fn new(pixels: &'a [u8], shape: [usize; 3]) -> Self {
        check(pixels, shape);
        Self { pixels, shape }
    }

    /// The pixels, `[channels, height, width]`.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }

    /// The number of channels, 1 or 3.
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.shape[1]
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.shape[2]
    }
}

fn check(pixels: &[u8], shape: [usize; 3]) {
    assert!(
        matches!(shape[0], 1 | 3)
            && !shape.contains(&0)
            && pixels.len() == shape.iter().product::<usize>(),
        "{} pixel values for an image of shape {shape:?}: expected 1 or 3 channels, height and width of at least 1, \
         and a value for each",
        pixels.len()
    );
}
