use crate::pixels::check_pixels;

/// An owned u8 image, planar `[channels, height, width]`: the result of cropping a
/// [`Photo`](crate::Photo).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub(super) pixels: Vec<u8>,
    pub(super) shape: [usize; 3],
}

impl Image {
    /// Creates an image from its pixels.
    ///
    /// # Panics
    ///
    /// If `pixels` does not hold `shape` = `[channels, height, width]`, a side is 0, or there are
    /// not 1 or 3 channels.
    pub fn new(pixels: Vec<u8>, shape: [usize; 3]) -> Self {
        check_pixels(&pixels, shape, shape[0]);
        Self { pixels, shape }
    }

    /// The pixels, `[channels, height, width]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Changes the shape and keeps the memory. The caller overwrites the pixels.
    pub(super) fn reshape(&mut self, shape: [usize; 3]) {
        self.shape = shape;
        self.pixels.resize(shape.iter().product(), 0);
    }

    /// The red, green and blue planes, or `None` for a gray image.
    pub(super) fn rgb_planes(&mut self) -> Option<[&mut [u8]; 3]> {
        let plane = self.shape[1] * self.shape[2];
        let (red, rest) = self.pixels.split_at_mut(plane);
        (!rest.is_empty()).then(|| {
            let (green, blue) = rest.split_at_mut(plane);
            [red, green, blue]
        })
    }
}
