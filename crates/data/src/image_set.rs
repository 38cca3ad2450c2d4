use burn::tensor::{Device, Tensor, TensorData};

use crate::normalization::{Normalization, Normalizer};
use crate::{DataError, Result};

/// n images of one size in memory, u8 `[n, channels, height, width]`, each with a label.
///
/// Labels are for probes and figures. Self-supervised training does not read them.
#[derive(Clone, Debug)]
pub struct ImageSet {
    name: String,
    pixels: Vec<u8>,
    shape: [usize; 3],
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl ImageSet {
    /// Creates a set from its parts: `pixels` is `[n, channels, height, width]` in that order,
    /// `shape` the last three, `labels` has length n and its values index `classes`. The set may be
    /// empty.
    ///
    /// # Errors
    ///
    /// [`DataError::ImageSet`] if there are not 1 or 3 channels, a side is 0, `pixels` does not
    /// hold `labels.len()` images of `shape`, or a label is not below `classes.len()`.
    pub fn new(
        name: impl Into<String>,
        pixels: Vec<u8>,
        shape: [usize; 3],
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let name = name.into();
        let problem = |expected: String, found: String| DataError::ImageSet {
            name: name.clone(),
            expected,
            found,
        };
        let [channels, height, width] = shape;
        let expected = [channels, height, width, labels.len()]
            .iter()
            .try_fold(1_usize, |product, &side| product.checked_mul(side));
        if !matches!(channels, 1 | 3) || shape.contains(&0) {
            return Err(problem(
                "1 or 3 channels, height and width of at least 1".into(),
                format!("{shape:?}"),
            ));
        }
        if expected != Some(pixels.len()) {
            return Err(problem(
                format!(
                    "{} images of {channels} x {height} x {width} bytes",
                    labels.len()
                ),
                format!("{} bytes", pixels.len()),
            ));
        }
        if let Some((index, label)) = labels
            .iter()
            .enumerate()
            .find(|(_, label)| **label as usize >= classes.len())
        {
            return Err(problem(
                format!("labels below {}", classes.len()),
                format!("label {label} at image {index}"),
            ));
        }
        Ok(Self {
            name,
            pixels,
            shape,
            labels,
            classes,
        })
    }

    /// The name of the set, for messages and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of images, n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of channels: 1 for gray, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// The height of every image in pixels.
    pub fn height(&self) -> usize {
        self.shape[1]
    }

    /// The width of every image in pixels.
    pub fn width(&self) -> usize {
        self.shape[2]
    }

    /// The label of each image, an index into [`classes`](Self::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The pixels of image `index`, `[channels, height, width]`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        assert!(
            index < self.len(),
            "image {index} of {}, which has {} images",
            self.name,
            self.len()
        );
        let size = self.image_bytes();
        &self.pixels[index * size..(index + 1) * size]
    }

    /// The images `indices`, in that order, as a set of the same name and classes. An index may
    /// occur repeatedly.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_bytes());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        Self {
            name: self.name.clone(),
            pixels,
            shape: self.shape,
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// The images `indices` as the network sees them in evaluation: normalized, not augmented.
    ///
    /// # Shapes
    ///
    /// Output: `[indices.len(), channels, height, width]`, f32.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len), or `normalization` is for another number of
    /// channels.
    pub fn tensor(
        &self,
        indices: &[usize],
        normalization: &Normalization,
        device: &Device,
    ) -> Tensor<4> {
        assert_eq!(
            normalization.mean.len(),
            self.channels(),
            "normalization for {}-channel images, but {} has {}-channel images",
            normalization.mean.len(),
            self.name,
            self.channels()
        );
        let normalizer = Normalizer::new(normalization);
        let mut values = vec![0.0; indices.len() * self.image_bytes()];
        for (&index, values) in indices
            .iter()
            .zip(values.chunks_exact_mut(self.image_bytes()))
        {
            normalizer.write(self.image(index), values);
        }
        let [channels, height, width] = self.shape;
        Tensor::from_data(
            TensorData::new(values, [indices.len(), channels, height, width]),
            device,
        )
    }

    fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }
}
