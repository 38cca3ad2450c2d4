use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use super::file_kind::{LeftOut, count};
use super::files::ImageFiles;
use super::fingerprint::Fingerprint;
use super::scan::{Scan, joined, scan};
use super::scan_cache;
use super::{ImageSource, Photo, ScanOptions};
use crate::{DataError, Result};

/// The images beneath a folder, in a fixed order.
///
/// Files are recognized by torchvision's [endings](super::EXTENSIONS). Symbolic links are followed,
/// except links back to a folder above. Leftovers of tools (`._*`, `__MACOSX`,
/// `.ipynb_checkpoints`, `@eaDir`) and hidden files are left out.
#[derive(Debug)]
pub struct ImageFolder {
    name: String,
    files: ImageFiles,
    labels: Option<Vec<u32>>,
    classes: Vec<String>,
    problems: Vec<DataError>,
    left_out: LeftOut,
}

impl ImageFolder {
    /// Opens a folder with a folder for each class, in torchvision's order: classes by name, then
    /// folders by path, then files by name. Images of a class may be in nested folders. Images in
    /// `root` itself belong to no class and are left out.
    ///
    /// Problems that do not prevent a run are in [`problems`](Self::problems). A class without
    /// images keeps its label.
    ///
    /// # Errors
    ///
    /// If `root` cannot be read, holds no folder or no image, or the cache of `options` cannot be
    /// written.
    pub fn open(root: &Path, options: &ScanOptions) -> Result<Self> {
        let (mut scan, mut problems) = Self::scan(root, options)?;
        let beside = scan.folders.get("").map_or(0, Vec::len);
        count(
            &mut scan.left_out,
            "images beside the class folders",
            beside,
        );
        let mut by_class: BTreeMap<&str, Vec<(&str, &Vec<String>)>> = BTreeMap::new();
        for (folder, images) in scan.folders.iter().filter(|(folder, _)| !folder.is_empty()) {
            let class = folder.split('/').next().unwrap_or_default();
            by_class.entry(class).or_default().push((folder, images));
        }
        if by_class.is_empty() {
            return Err(DataError::NoImages {
                path: root.into(),
                problem: "holds no class folder",
                way_out: "expected a folder of images for each class",
            });
        }
        let mut labels = Vec::new();
        let mut paths = Vec::new();
        for (label, (class, folders)) in by_class.iter().enumerate() {
            let before = paths.len();
            for (folder, images) in folders {
                paths.extend(images.iter().map(|image| joined(folder, image)));
            }
            labels.resize(paths.len(), label as u32);
            if paths.len() == before {
                problems.push(DataError::NoImages {
                    path: root.join(class),
                    problem: "is a class without images",
                    way_out: "add some, or remove the folder; the class keeps its label",
                });
            }
        }
        let classes = by_class.into_keys().map(String::from).collect();
        Self::new(
            root,
            options,
            paths,
            Some((labels, classes)),
            problems,
            scan.left_out,
        )
    }

    /// Opens all images in `root` and the folders beneath it, without labels: folders by path, then
    /// files by name.
    ///
    /// # Errors
    ///
    /// If `root` cannot be read or holds no image, or the cache of `options` cannot be written.
    pub fn open_flat(root: &Path, options: &ScanOptions) -> Result<Self> {
        let (scan, problems) = Self::scan(root, options)?;
        let paths = scan
            .folders
            .iter()
            .flat_map(|(folder, images)| images.iter().map(move |image| joined(folder, image)))
            .collect();
        Self::new(root, options, paths, None, problems, scan.left_out)
    }

    fn scan(root: &Path, options: &ScanOptions) -> Result<(Scan, Vec<DataError>)> {
        if let Some(kept) = options
            .cache
            .as_deref()
            .and_then(|cache| scan_cache::load(cache, root))
        {
            return Ok((kept, Vec::new()));
        }
        let started = SystemTime::now();
        let mut scan = scan(root, options)?;
        if let Some(cache) = &options.cache {
            scan_cache::store(cache, root, &scan, started)?;
        }
        let problems = std::mem::take(&mut scan.problems);
        Ok((scan, problems))
    }

    fn new(
        root: &Path,
        options: &ScanOptions,
        paths: Vec<String>,
        labels: Option<(Vec<u32>, Vec<String>)>,
        problems: Vec<DataError>,
        left_out: LeftOut,
    ) -> Result<Self> {
        if paths.is_empty() {
            return Err(DataError::NoImages {
                path: root.into(),
                problem: "holds no image",
                way_out: "expected files that end in .jpg, .jpeg, .png or .webp",
            });
        }
        let (labels, classes) = labels.unzip();
        Ok(Self {
            name: root.display().to_string(),
            files: ImageFiles::new(root, paths, options.limits),
            labels,
            classes: classes.unwrap_or_default(),
            problems,
            left_out,
        })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.files.root()
    }

    /// The path of image `index` relative to the folder, with `/` on every platform.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](ImageSource::len).
    pub fn path(&self, index: usize) -> &str {
        self.files.path(index)
    }

    /// Problems that do not prevent a run: unreadable folders, links that lead back, classes
    /// without images. Show them to the user.
    pub fn problems(&self) -> &[DataError] {
        &self.problems
    }

    /// How many files beneath the folder were left out, by kind: leftovers of tools, hidden files,
    /// images of other formats, images beside the class folders, other files.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The images for which `label` returns a class, with that label. The others are left out as
    /// `kind`.
    pub(super) fn labeled(
        mut self,
        classes: Vec<String>,
        label: impl Fn(&str) -> Option<u32>,
        kind: &str,
    ) -> Self {
        let labeled = (0..self.len()).filter_map(|index| {
            let path = self.path(index);
            label(path).map(|label| (path, label))
        });
        let (paths, labels): (Vec<&str>, Vec<u32>) = labeled.unzip();
        let files = self.files.of_paths(paths);
        let left_out = self.len() - files.len();
        count(&mut self.left_out, kind, left_out);
        Self {
            files,
            labels: Some(labels),
            classes,
            ..self
        }
    }

    pub(super) fn take_problems(&mut self) -> Vec<DataError> {
        std::mem::take(&mut self.problems)
    }
}

impl ImageSource for ImageFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize, photo: &mut Photo) -> Result<()> {
        self.files.read(index, photo)
    }

    fn image_name(&self, index: usize) -> String {
        self.path(index).into()
    }

    fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Includes the files' sizes and modification times.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self, self.files.digest())
    }
}
