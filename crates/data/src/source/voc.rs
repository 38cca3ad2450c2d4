use std::path::Path;

use super::ImageSource;
use super::files::{ImageFiles, read_file};
use super::fingerprint::Fingerprint;
use super::list;
use crate::Photo;
use crate::decode::DecodeLimits;
use crate::{DataError, Result};

/// The classes in the order of their names.
const CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// The longest annotation takes a few kilobytes, the longest list a few hundred.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// Whether an image shows a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// No object of the class.
    #[default]
    Absent,
    /// Only objects marked "difficult": neither an example nor a counter-example, left out of
    /// training and of the score.
    Difficult,
    /// At least one object of the class that is not difficult.
    Present,
}

/// Pascal VOC 2007: photographs of everyday scenes. Each may show several of twenty classes.
#[derive(Debug)]
pub struct Voc2007 {
    name: String,
    files: ImageFiles,
    presence: Vec<[Presence; 20]>,
    classes: Vec<String>,
}

impl Voc2007 {
    /// The images of one list: `root` is the folder `VOC2007`, `split` the name of a file in
    /// `ImageSets/Main` ("trainval" with 5,011 images, "test" with 4,952). Only the first word of
    /// each line is used. The classes of an image come from its XML file in `Annotations`.
    ///
    /// # Errors
    ///
    /// If the list or an annotation cannot be read or is invalid, or there is no image.
    pub fn open(root: &Path, split: &str, limits: DecodeLimits) -> Result<Self> {
        let list = root.join("ImageSets/Main").join(format!("{split}.txt"));
        let text = read_file(&list, MAX_TEXT_BYTES)?;
        let text = list::text(&text);
        // Lists of one class have 1 or -1 after the number.
        let ids: Vec<&str> = list::lines(&text)
            .filter_map(|(_, line)| line.split_whitespace().next())
            .collect();
        if ids.is_empty() {
            return Err(DataError::Empty {
                what: format!("the list {}", list.display()),
            });
        }
        if let Some(id) = ids
            .iter()
            .find(|id| id.contains(['/', '\\']) || **id == "..")
        {
            return Err(DataError::Format {
                path: list,
                expected: "the number of one image in each line".into(),
                found: format!("{id:?}"),
            });
        }
        let presence = ids
            .iter()
            .map(|id| {
                let path = root.join("Annotations").join(format!("{id}.xml"));
                let xml = read_file(&path, MAX_TEXT_BYTES)?;
                presence(&String::from_utf8_lossy(&xml)).map_err(|found| DataError::Format {
                    path,
                    expected:
                        "an annotation of Pascal VOC: objects, each with a name and \"difficult\""
                            .into(),
                    found,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: format!("{} ({split})", root.display()),
            files: ImageFiles::new(
                root,
                ids.iter().map(|id| format!("JPEGImages/{id}.jpg")),
                limits,
            ),
            presence,
            classes: CLASSES.map(String::from).to_vec(),
        })
    }

    /// Which of the [`classes`](ImageSource::classes) each image shows.
    pub fn presence(&self) -> &[[Presence; 20]] {
        &self.presence
    }
}

impl ImageSource for Voc2007 {
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

    /// `None`: an image may show several classes; see [`presence`](Self::presence).
    fn labels(&self) -> Option<&[u32]> {
        None
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Includes the files' sizes and modification times, not the presence.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self, self.files.digest())
    }
}

/// The classes of one annotation, or a description of the problem.
pub(super) fn presence(xml: &str) -> Result<[Presence; 20], String> {
    let document = roxmltree::Document::parse(xml).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        return Err(format!("<{}>", root.tag_name().name()));
    }
    let mut presence = [Presence::Absent; 20];
    for object in root.children().filter(|node| node.has_tag_name("object")) {
        let text = |tag: &str| {
            object
                .children()
                .find(|node| node.has_tag_name(tag))
                .and_then(|node| node.text())
                .map(str::trim)
        };
        let name = text("name").ok_or("an object without a name")?;
        let class = CLASSES
            .binary_search(&name)
            .map_err(|_| format!("class {name:?}, which is not one of the twenty"))?;
        let found = match text("difficult") {
            Some("1") => Presence::Difficult,
            Some("0") | None => Presence::Present,
            Some(other) => return Err(format!("\"difficult\" of {other:?}")),
        };
        presence[class] = presence[class].max(found);
    }
    Ok(presence)
}
