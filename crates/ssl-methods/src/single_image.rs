/// Whether pieces of `size` images leave a single one of `n` images for the last piece. Batch
/// normalization has no statistics of one image.
///
/// # Panics
///
/// If `size` is 0.
pub fn leaves_single_image(n: usize, size: usize) -> bool {
    n % size == 1
}
