use std::collections::HashMap;
use std::path::{Component, Path};

use serde::Deserialize;

use super::ImageSource;
use super::files::{ImageFiles, read_file};
use super::fingerprint::Fingerprint;
use super::layout::INATURALIST;
use super::list::{slashed, without_mark};
use crate::Photo;
use crate::decode::DecodeLimits;
use crate::{DataError, Result};

/// The longest of the published files has 120 MB.
const MAX_JSON_BYTES: u64 = 4 << 30;

/// iNaturalist 2018: 437,513 training and 24,426 validation images of 8,142 species, listed in a
/// JSON file (`train2018.json`, `val2018.json`), in that file's order.
#[derive(Debug)]
pub struct INaturalist2018 {
    name: String,
    files: ImageFiles,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl INaturalist2018 {
    /// The images that `json` lists, whose paths (`train_val2018/...`) are relative to `root`.
    /// Labels follow the numbers of the categories in ascending order. Files are not checked until
    /// they are read.
    ///
    /// # Errors
    ///
    /// If `json` cannot be read, is not such a list, or lists no image, an image without a category
    /// or with several, or a path that leads out of `root`.
    pub fn open(root: &Path, json: &Path, limits: DecodeLimits) -> Result<Self> {
        let bytes = read_file(json, MAX_JSON_BYTES)?;
        let list = List::parse(&bytes).map_err(|found| DataError::Format {
            path: json.into(),
            expected: "the JSON list of iNaturalist 2018 (images, annotations, categories)".into(),
            found,
        })?;
        Ok(Self {
            name: json.display().to_string(),
            files: ImageFiles::new(root, list.paths, limits),
            labels: list.labels,
            classes: list.classes,
        })
    }
}

/// The training and test images in the folder `root`, according to its lists.
///
/// # Errors
///
/// The errors of [`INaturalist2018::open`], and an error if the lists differ in their categories.
pub(super) fn open_parts(root: &Path) -> Result<(INaturalist2018, INaturalist2018)> {
    let [train, test] = INATURALIST
        .map(|list| INaturalist2018::open(root, &root.join(list), DecodeLimits::default()));
    let (train, test) = (train?, test?);
    if train.classes != test.classes {
        return Err(DataError::Format {
            path: root.join(INATURALIST[1]),
            expected: format!(
                "the {} categories of {}",
                train.classes.len(),
                INATURALIST[0]
            ),
            found: format!("{} categories, some of them others", test.classes.len()),
        });
    }
    Ok((train, test))
}

impl ImageSource for INaturalist2018 {
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
        self.files.path(index).into()
    }

    fn labels(&self) -> Option<&[u32]> {
        Some(&self.labels)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Includes the files' sizes and modification times.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self, self.files.digest())
    }
}

/// The content of the JSON file.
pub(super) struct List {
    paths: Vec<String>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

impl List {
    /// The list, or a description of the problem.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let File {
            images,
            annotations,
            mut categories,
        } = serde_json::from_slice(without_mark(json)).map_err(|error| error.to_string())?;
        if images.is_empty() {
            return Err("no images".into());
        }
        categories.sort_by_key(|category| category.id);
        if let Some(pair) = categories.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(format!("category {} twice", pair[0].id));
        }
        let mut label_of_image = HashMap::with_capacity(annotations.len());
        for Annotation {
            image_id,
            category_id,
        } in annotations
        {
            let label = categories
                .binary_search_by_key(&category_id, |category| category.id)
                .map_err(|_| {
                    format!("category {category_id}, which is not listed, at image {image_id}")
                })?;
            if label_of_image.insert(image_id, label as u32).is_some() {
                return Err(format!("several categories of image {image_id}"));
            }
        }
        let (mut paths, mut labels) = (Vec::new(), Vec::new());
        for Image { id, file_name } in images {
            let file_name = slashed(&file_name);
            let inside = Path::new(&file_name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if !inside || file_name.is_empty() {
                return Err(format!(
                    "path {file_name:?} of image {id}, which leads out of the folder"
                ));
            }
            labels.push(
                *label_of_image
                    .get(&id)
                    .ok_or_else(|| format!("no category of image {id}"))?,
            );
            paths.push(file_name);
        }
        Ok(Self {
            paths,
            labels,
            classes: categories
                .into_iter()
                .map(|category| category.name)
                .collect(),
        })
    }
}
