use std::fmt;

use serde::{Deserialize, Serialize};

use super::ImageSource;
use super::file_kind::LeftOut;

/// A summary of a data folder, for logs and reports. [`Display`](fmt::Display) writes one line per
/// item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSummary {
    /// A description of the folder's layout.
    pub layout: String,
    /// The classes; none if the images have no labels.
    pub classes: Option<ClassSummary>,
    /// The images for training, then those for the test.
    pub parts: Vec<PartSummary>,
    /// Number of files left out, by kind.
    pub left_out: LeftOut,
    /// Why no probe is possible, if none is.
    probe_problem: Option<String>,
}

/// The classes of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// Number of classes.
    pub count: usize,
    /// The name of the first.
    pub first: String,
    /// The name of the last.
    pub last: String,
    /// The class with the fewest training images, and their number.
    pub fewest: (String, usize),
    /// The class with the most training images, and their number.
    pub most: (String, usize),
}

/// A part of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSummary {
    /// A folder's name, or a description of the draw.
    pub name: String,
    /// The number of images.
    pub images: usize,
}

impl DataSummary {
    /// The summary of named parts.
    pub(super) fn new(
        layout: String,
        (train_name, train): (&str, &dyn ImageSource),
        test: Option<(&str, &dyn ImageSource)>,
        left_out: LeftOut,
    ) -> Self {
        let part = |name: &str, source: &dyn ImageSource| PartSummary {
            name: name.into(),
            images: source.len(),
        };
        let mut parts = vec![part(train_name, train)];
        parts.extend(test.map(|(name, test)| part(name, test)));
        Self {
            layout,
            classes: ClassSummary::of(train),
            parts,
            left_out,
            probe_problem: probe_problem(train, test.map(|(_, test)| test)),
        }
    }

    /// Why no classifier can be trained and tested on these images; `None` if it can. Possible
    /// reasons: no labels, a single class, no test images, or a class with test images only.
    pub fn probe_problem(&self) -> Option<String> {
        self.probe_problem.clone()
    }

    /// The lines of the summary: layout, classes, parts, files left out, and why no probe is
    /// possible.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("layout: {}", self.layout)];
        if let Some(classes) = &self.classes {
            lines.push(format!("classes: {classes}"));
        }
        let parts: Vec<String> = (self.parts.iter())
            .map(|part| format!("{} {}", part.name, plural(part.images, "image")))
            .collect();
        lines.push(format!("parts: {}", parts.join(", ")));
        if !self.left_out.is_empty() {
            let kinds: Vec<String> = (self.left_out.iter())
                .map(|(kind, files)| format!("{files} of {kind}"))
                .collect();
            lines.push(format!("files left out: {}", kinds.join(", ")));
        }
        if let Some(problem) = &self.probe_problem {
            lines.push(format!("no probe is possible: {problem}"));
        }
        lines
    }
}

impl fmt::Display for DataSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl ClassSummary {
    /// `None` if `train` has no labels.
    fn of(train: &dyn ImageSource) -> Option<Self> {
        let counts = counts(train)?;
        let classes = train.classes();
        let named = |(class, images): (usize, &usize)| (classes[class].clone(), *images);
        Some(Self {
            count: classes.len(),
            first: classes.first()?.clone(),
            last: classes.last()?.clone(),
            fewest: named(
                counts
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, images)| **images)?,
            ),
            // The first of several.
            most: named(
                counts
                    .iter()
                    .enumerate()
                    .rev()
                    .max_by_key(|(_, images)| **images)?,
            ),
        })
    }
}

impl fmt::Display for ClassSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            first,
            last,
            fewest,
            most,
        } = self;
        if *count == 1 {
            return write!(f, "1, {first}");
        }
        write!(f, "{count}, from {first} to {last}; for training ")?;
        if fewest.1 == most.1 {
            return write!(f, "{} of each", plural(most.1, "image"));
        }
        let images = plural(most.1, "image");
        write!(
            f,
            "{} of {} (fewest) to {images} of {} (most)",
            fewest.1, fewest.0, most.0
        )
    }
}

fn probe_problem(train: &dyn ImageSource, test: Option<&dyn ImageSource>) -> Option<String> {
    let Some(train_counts) = counts(train) else {
        return Some("the images have no labels".into());
    };
    let classes = train.classes();
    let mut with_images = (0..classes.len()).filter(|class| train_counts[*class] > 0);
    let first = with_images.next();
    if with_images.next().is_none() {
        let class = first.map_or("none", |class| &classes[class]);
        return Some(format!("all images are of a single class, {class}"));
    }
    let Some(test_counts) = test.and_then(counts) else {
        return Some("there are no test images".into());
    };
    let untrained = test_counts
        .iter()
        .zip(&train_counts)
        .position(|(test, train)| *test > 0 && *train == 0);
    untrained.map(|class| {
        format!(
            "class {} has test images, but no training images",
            classes[class]
        )
    })
}

/// The number of images of each class; `None` without labels.
fn counts(source: &dyn ImageSource) -> Option<Vec<usize>> {
    let mut counts = vec![0; source.classes().len()];
    for &label in source.labels()? {
        counts[label as usize] += 1;
    }
    Some(counts)
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
