/// Panics unless there is a value for each pixel of an image with 1 or 3 `channels`, and no side of
/// `shape` is 0.
pub(crate) fn check_pixels(pixels: &[u8], shape: [usize; 3], channels: usize) {
    assert!(
        matches!(channels, 1 | 3)
            && !shape.contains(&0)
            && pixels.len() == shape.iter().product::<usize>(),
        "{} pixel values for an image of shape {shape:?}: expected 1 or 3 channels, height and \
         width of at least 1, and a value for each",
        pixels.len()
    );
}
