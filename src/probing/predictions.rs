use std::path::Path;

use crate::files::{read_text_lossy, write_atomically};
use crate::{Error, Result};

/// Columns before the predictions.
const FIXED: [&str; 2] = ["image", "label"];
/// Separates the probe's name from the draw's number in a column's heading.
const DRAW: &str = " draw ";

/// Predictions of the classifiers on one backbone for each test image: `predictions-NAME.csv`.
/// Backbones can be compared from these files, without the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predictions {
    /// Name of each image.
    pub images: Vec<String>,
    /// Label of each image.
    pub labels: Vec<u32>,
    /// The classifiers.
    pub probes: Vec<PredictedProbe>,
}

/// A classifier, trained once or with several draws of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictedProbe {
    /// Its name, such as `10%` for a linear probe with a tenth of the labels.
    pub name: String,
    /// Per draw, the predicted class of each image.
    pub draws: Vec<Vec<u32>>,
}

impl Predictions {
    /// Writes one row per image and one column per probe and draw.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    ///
    /// # Panics
    ///
    /// If the numbers of labels or predictions and images differ.
    pub fn write(&self, path: &Path) -> Result<()> {
        let columns: Vec<&Vec<u32>> = self.probes.iter().flat_map(|p| &p.draws).collect();
        let names = self.probes.iter().flat_map(|probe| {
            (0..probe.draws.len()).map(|draw| format!("{}{DRAW}{draw}", probe.name))
        });
        let mut csv = csv::Writer::from_writer(Vec::new());
        let header = FIXED.into_iter().map(String::from).chain(names);
        let in_memory = "a writer into memory does not fail";
        csv.write_record(header).expect(in_memory);
        for (i, image) in self.images.iter().enumerate() {
            let predictions = columns.iter().map(|column| column[i].to_string());
            let row = [image.clone(), self.labels[i].to_string()].into_iter();
            csv.write_record(row.chain(predictions)).expect(in_memory);
        }
        write_atomically(path, &csv.into_inner().expect(in_memory))
    }

    /// Reads a file written by [`write`](Self::write), or one of the same format from elsewhere. A
    /// column without a draw in its heading is a probe with one draw.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a file of predictions.
    pub fn read(path: &Path) -> Result<Self> {
        let error = |reason: String| {
            let expected = "a CSV file of predictions has the columns image, label, and one of \
                            class numbers for each probe";
            Error::state(path, format!("{reason}; {expected}"))
        };
        let text = read_text_lossy(path)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let header = csv.headers().map_err(|e| error(e.to_string()))?.clone();
        if header.len() <= FIXED.len() || !header.iter().zip(FIXED).all(|(a, b)| a == b) {
            let found = header.iter().collect::<Vec<_>>().join(", ");
            return Err(error(format!("its columns are: {found}")));
        }
        let mut predictions = Self {
            images: Vec::new(),
            labels: Vec::new(),
            probes: Vec::new(),
        };
        // The probe and draw of each column.
        let mut places = Vec::new();
        for heading in header.iter().skip(FIXED.len()) {
            let name = match heading.rsplit_once(DRAW) {
                Some((name, draw)) if draw.parse::<usize>().is_ok() => name,
                _ => heading,
            };
            let probes = &mut predictions.probes;
            let at = probes.iter().position(|probe| probe.name == name);
            let at = at.unwrap_or_else(|| {
                let (name, draws) = (name.to_string(), Vec::new());
                probes.push(PredictedProbe { name, draws });
                probes.len() - 1
            });
            places.push((at, probes[at].draws.len()));
            probes[at].draws.push(Vec::new());
        }
        for (row, record) in csv.records().enumerate() {
            let record = record.map_err(|e| error(e.to_string()))?;
            let number = |column: usize| {
                let text = record.get(column).unwrap_or_default();
                text.trim().parse::<u32>().map_err(|_| {
                    let heading = &header[column];
                    error(format!(
                        "{heading} of row {} is {text:?}, not a class number",
                        row + 1
                    ))
                })
            };
            predictions.images.push(record[0].to_string());
            predictions.labels.push(number(1)?);
            for (column, &(probe, draw)) in places.iter().enumerate() {
                let class = number(FIXED.len() + column)?;
                predictions.probes[probe].draws[draw].push(class);
            }
        }
        if predictions.images.is_empty() {
            return Err(error("it has no image".into()));
        }
        Ok(predictions)
    }

    /// The first difference from the images of another file. None if both have the same images in
    /// the same order with the same labels.
    pub(crate) fn difference_of_images(&self, other: &Self) -> Option<String> {
        let (n, m) = (self.images.len(), other.images.len());
        if n != m {
            return Some(format!("{m} images where the other has {n}"));
        }
        let images = self.images.iter().zip(&other.images);
        if let Some((i, (a, b))) = images.enumerate().find(|(_, (a, b))| a != b) {
            return Some(format!("{b} in row {} where the other has {a}", i + 1));
        }
        let labels = self.labels.iter().zip(&other.labels);
        let (i, (a, b)) = labels.enumerate().find(|(_, (a, b))| a != b)?;
        let image = &self.images[i];
        Some(format!("label {b} for {image} where the other has {a}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        let probe = |name: &str, draws: &[[u32; 3]]| PredictedProbe {
            name: name.into(),
            draws: draws.iter().map(|draw| draw.to_vec()).collect(),
        };
        Predictions {
            images: ["a, b.jpg", "c.jpg", "d.jpg"].map(String::from).to_vec(),
            labels: vec![0, 1, 2],
            probes: vec![
                probe("1%", &[[0, 1, 1], [0, 0, 2]]),
                probe("kNN, k 20", &[[2, 1, 0]]),
            ],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("predictions.csv");
        predictions().write(&file).unwrap();
        assert_eq!(Predictions::read(&file).unwrap(), predictions());
        // As written by a spreadsheet on Windows.
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        assert_eq!(Predictions::read(&file).unwrap(), predictions());
    }

    #[test]
    fn other_files_are_rejected_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("predictions.csv");
        for (text, part) in [
            ("", "its columns are"),
            ("image,label\na,1\n", "its columns are: image, label"),
            ("name,label,x\na,1,1\n", "its columns are: name"),
            ("image,label,x\n", "no image"),
            ("image,label,x\na,1\n", "found record with 2 fields"),
            ("image,label,x\na,1,cat\n", "x of row 1 is \"cat\""),
            ("image,label,x\na,-1,1\n", "label of row 1 is \"-1\""),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Predictions::read(&file).unwrap_err().to_string();
            assert!(error.contains("predictions.csv"), "{error}");
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }

    #[test]
    fn other_images_orders_and_labels_are_told() {
        let same = predictions();
        assert_eq!(same.difference_of_images(&predictions()), None);
        let difference = |change: fn(&mut Predictions)| {
            let mut other = predictions();
            change(&mut other);
            same.difference_of_images(&other).unwrap()
        };
        let fewer = difference(|other| drop(other.images.pop()));
        assert_eq!(fewer, "2 images where the other has 3");
        let order = difference(|other| other.images.swap(1, 2));
        assert_eq!(order, "d.jpg in row 2 where the other has c.jpg");
        let labels = difference(|other| other.labels[2] = 7);
        assert_eq!(labels, "label 7 for d.jpg where the other has 2");
    }
}
