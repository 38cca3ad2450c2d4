use super::image::Image;

impl Image {
    /// Mirrors left and right.
    pub fn flip_horizontal(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.shape[2]) {
            row.reverse();
        }
    }
}
