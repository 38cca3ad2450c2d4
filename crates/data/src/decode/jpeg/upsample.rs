/// One component of an image, at the image's sampling rate or a lower one.
pub(super) struct Plane<'a> {
    /// Rows of `stride` values. The image uses the first `width`.
    pub(super) values: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// How many pixels one value covers, across and down.
    pub(super) factor: [usize; 2],
}

impl Plane<'_> {
    fn row(&self, y: usize) -> &[u8] {
        &self.values[y * self.stride..][..self.width]
    }

    /// The component at every pixel of an image `[height, width]`, as in libjpeg's default. If a
    /// value covers two pixels across or down, the nearer value has weight 3/4 and the farther one
    /// 1/4. Otherwise values are repeated.
    pub(super) fn upsampled(&self, [height, width]: [usize; 2]) -> Vec<u8> {
        let [across, down] = self.factor;
        // libjpeg does not interpolate rows of only two values.
        let interpolates = across == 2 && self.width > 2;
        let mut image = Vec::with_capacity(height * width);
        let mut wide = vec![0; 2 * self.width];
        let mut sums = vec![0; self.width];
        for y in 0..height {
            let near = self.row(y / down);
            let above = y % 2 == 0;
            let far = self.row(if above {
                (y / down).saturating_sub(1)
            } else {
                (y / down + 1).min(self.height - 1)
            });
            match (across, down) {
                (1, 1) => image.extend_from_slice(&near[..width]),
                (1, 2) => {
                    let bias = if above { 1 } else { 2 };
                    image.extend(near.iter().zip(far).take(width).map(|(near, far)| {
                        ((3 * u16::from(*near) + u16::from(*far) + bias) >> 2) as u8
                    }));
                }
                (2, 1) if interpolates => {
                    for (sum, near) in sums.iter_mut().zip(near) {
                        *sum = u16::from(*near);
                    }
                    doubled(&sums, [1, 2], 2, &mut wide);
                    image.extend_from_slice(&wide[..width]);
                }
                (2, 2) if interpolates => {
                    for ((sum, near), far) in sums.iter_mut().zip(near).zip(far) {
                        *sum = 3 * u16::from(*near) + u16::from(*far);
                    }
                    doubled(&sums, [8, 7], 4, &mut wide);
                    image.extend_from_slice(&wide[..width]);
                }
                _ => image.extend((0..width).map(|x| near[x / across])),
            }
        }
        image
    }
}

/// Two values for each: 3/4 of it plus 1/4 of its left neighbor, then of its right neighbor.
/// Without a neighbor, the value itself. `biases` round the two before `shift` bits are dropped.
fn doubled(values: &[u16], biases: [u16; 2], shift: u32, wide: &mut [u8]) {
    let last = values.len() - 1;
    for (x, pair) in wide.chunks_exact_mut(2).enumerate() {
        let value = values[x];
        let left = values[x.saturating_sub(1)];
        let right = values[(x + 1).min(last)];
        pair[0] = ((3 * value + left + biases[0]) >> shift) as u8;
        pair[1] = ((3 * value + right + biases[1]) >> shift) as u8;
    }
}
