use super::ImageSource;
use super::fingerprint::Fingerprint;
use crate::Photo;
use crate::Result;

/// Some images of another source, in any order.
#[derive(Clone, Debug)]
pub struct Subset<S> {
    source: S,
    indices: Vec<usize>,
    labels: Option<Vec<u32>>,
}

impl<S: ImageSource> Subset<S> {
    /// The images `indices` of `source`; an index may occur repeatedly.
    ///
    /// # Panics
    ///
    /// If an index is not below `source.len()`.
    pub fn new(source: S, indices: Vec<usize>) -> Self {
        if let Some(index) = indices.iter().find(|index| **index >= source.len()) {
            panic!(
                "image {index} of {}, which has {} images",
                source.name(),
                source.len()
            );
        }
        let labels = source
            .labels()
            .map(|labels| indices.iter().map(|&index| labels[index]).collect());
        Self {
            source,
            indices,
            labels,
        }
    }

    /// The indices of the images in the source.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl<S: ImageSource> ImageSource for Subset<S> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn read(&self, index: usize, photo: &mut Photo) -> Result<()> {
        self.source.read(self.indices[index], photo)
    }

    fn image_name(&self, index: usize) -> String {
        self.source.image_name(self.indices[index])
    }

    fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    fn classes(&self) -> &[String] {
        self.source.classes()
    }

    /// Includes all files or pixels of the source.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self, self.source.fingerprint().content)
    }
}
