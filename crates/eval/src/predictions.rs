use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::replaced::write_replaced;
use crate::statistics::{PairedComparison, bootstrap_mean_difference};
use crate::{EvalError, LabelAmount};

const COLUMNS: [&str; 6] = ["image", "label", "predicted", "method", "fraction", "draw"];

const IN_MEMORY: &str = "a writer into memory does not fail";

/// Which classifier made predictions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PredictionRun {
    /// Kind of classifier, such as `linear`, `finetune` or `knn20`.
    pub method: String,
    /// The labels that it learnt from.
    pub fraction: LabelAmount,
    /// Draw of these labels, from 0.
    pub draw: u32,
}

/// The class that each of several classifiers gave to each image of one set: what paired tests
/// compare, without the images.
///
/// As a file: CSV with the columns `image,label,predicted,method,fraction,draw`, one row per image
/// and classifier, all images of one classifier after the other and in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    images: Vec<String>,
    labels: Vec<u32>,
    runs: Vec<(PredictionRun, Vec<u32>)>,
}

/// Two files' classifiers of the same method, fraction and draw, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// What both have in common.
    pub run: PredictionRun,
    /// Share of the images that the first and the second have right, in [0, 1].
    pub accuracies: [f64; 2],
    /// Tests over the images, second minus first.
    pub comparison: PairedComparison,
    /// 95% bootstrap interval over the images of the difference in accuracy.
    pub interval_95: [f64; 2],
}

/// A row of the file.
#[derive(Deserialize)]
struct Row {
    image: String,
    label: u32,
    predicted: u32,
    method: String,
    fraction: LabelAmount,
    draw: u32,
}

impl Predictions {
    /// Images, by a name or number that is unique, and their labels; no predictions yet.
    ///
    /// # Errors
    /// [`EvalError::Empty`] without images, [`EvalError::LabelCount`] if the lengths differ.
    pub fn new(images: Vec<String>, labels: Vec<u32>) -> Result<Self, EvalError> {
        if images.is_empty() {
            return Err(EvalError::Empty {
                what: "images with predictions",
            });
        }
        if images.len() != labels.len() {
            return Err(EvalError::LabelCount {
                images: images.len(),
                labels: labels.len(),
            });
        }
        Ok(Self {
            images,
            labels,
            runs: Vec::new(),
        })
    }

    /// Adds the predictions of a classifier, one per image; those of the same run are replaced.
    ///
    /// # Errors
    /// [`EvalError::LabelCount`] if there is not one per image.
    pub fn add(&mut self, run: PredictionRun, predicted: Vec<u32>) -> Result<(), EvalError> {
        if predicted.len() != self.images.len() {
            return Err(EvalError::LabelCount {
                images: self.images.len(),
                labels: predicted.len(),
            });
        }
        self.runs.retain(|(other, _)| *other != run);
        self.runs.push((run, predicted));
        Ok(())
    }

    /// Names of the images.
    pub fn images(&self) -> &[String] {
        &self.images
    }

    /// Labels of the images.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The classifiers with the class that each gave to each image, in the order added.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (&PredictionRun, &[u32])> {
        self.runs
            .iter()
            .map(|(run, predicted)| (run, predicted.as_slice()))
    }

    /// Whether each prediction of a run is the label of its image; `None` without that run.
    pub fn correct(&self, run: &PredictionRun) -> Option<Vec<bool>> {
        let (_, predicted) = self.runs.iter().find(|(other, _)| other == run)?;
        let pairs = predicted.iter().zip(&self.labels);
        Some(pairs.map(|(class, label)| class == label).collect())
    }

    /// Compares the classifiers that both have, in this one's order.
    ///
    /// # Errors
    /// [`EvalError::OtherImages`] if images, their order or their labels differ,
    /// [`EvalError::Empty`] if no run is in both, and those of [`PairedComparison::new`].
    pub fn compare(
        &self,
        second: &Self,
        permutations: u32,
        seed: u64,
    ) -> Result<Vec<ComparedRun>, EvalError> {
        self.check_same_images(second)?;
        let mut compared = Vec::new();
        for (run, _) in &self.runs {
            let (Some(first), Some(second)) = (self.correct(run), second.correct(run)) else {
                continue;
            };
            let share = |correct: &[bool]| {
                correct.iter().filter(|&&hit| hit).count() as f64 / correct.len() as f64
            };
            compared.push(ComparedRun {
                run: run.clone(),
                accuracies: [share(&first), share(&second)],
                comparison: PairedComparison::new(&first, &second, permutations, seed)?,
                interval_95: bootstrap_mean_difference(&first, &second, permutations, seed)?,
            });
        }
        if compared.is_empty() {
            return Err(EvalError::Empty {
                what: "classifiers of the same method, fraction and draw in both sets of predictions",
            });
        }
        Ok(compared)
    }

    /// Checks that both are over the same images in the same order, with the same labels.
    ///
    /// # Errors
    /// [`EvalError::OtherImages`] naming the first difference.
    pub fn check_same_images(&self, other: &Self) -> Result<(), EvalError> {
        let problem = if self.images.len() != other.images.len() {
            let (first, second) = (self.images.len(), other.images.len());
            format!("{first} images against {second}")
        } else if let Some(at) = (0..self.images.len()).find(|&i| self.images[i] != other.images[i])
        {
            let (first, second) = (&self.images[at], &other.images[at]);
            format!("image {at} is `{first}` in the first and `{second}` in the second")
        } else if let Some(at) = (0..self.labels.len()).find(|&i| self.labels[i] != other.labels[i])
        {
            let (first, second) = (self.labels[at], other.labels[at]);
            format!("the label of image {at} is {first} in the first and {second} in the second")
        } else {
            return Ok(());
        };
        Err(EvalError::OtherImages { problem })
    }

    /// Writes the CSV file, under a temporary name first.
    ///
    /// # Errors
    /// [`EvalError::Write`] naming the file.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), EvalError> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS).expect(IN_MEMORY);
        for (run, predicted) in &self.runs {
            let images = self.images.iter().zip(&self.labels).zip(predicted);
            for ((image, label), class) in images {
                let [label, class, draw] = [label, class, &run.draw].map(u32::to_string);
                let fraction = run.fraction.to_string();
                csv.write_record([image, &label, &class, &run.method, &fraction, &draw])
                    .expect(IN_MEMORY);
            }
        }
        write_replaced(path.as_ref(), &csv.into_inner().expect(IN_MEMORY))
    }

    /// Reads a CSV file; columns may be in any order, and others are ignored. CRLF and a byte-order
    /// mark are allowed.
    ///
    /// # Errors
    /// [`EvalError::Read`] if the file cannot be read, [`EvalError::PredictionFile`] if it lacks a
    /// column, holds a value that does not belong there, or its classifiers are over different
    /// images or orders.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, EvalError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| EvalError::Read {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let damaged = |problem: String| EvalError::PredictionFile {
            path: path.display().to_string(),
            problem,
        };
        let mut sets: Vec<(PredictionRun, Self, Vec<u32>)> = Vec::new();
        for (at, row) in csv::Reader::from_reader(text)
            .deserialize::<Row>()
            .enumerate()
        {
            let row = row.map_err(|error| damaged(format!("row {}: {error}", at + 1)))?;
            let run = PredictionRun {
                method: row.method,
                fraction: row.fraction,
                draw: row.draw,
            };
            let set = match sets.iter().rposition(|(other, ..)| *other == run) {
                Some(at) => &mut sets[at],
                None => {
                    let none = Self {
                        images: Vec::new(),
                        labels: Vec::new(),
                        runs: Vec::new(),
                    };
                    sets.push((run, none, Vec::new()));
                    sets.last_mut().expect("one was added")
                }
            };
            set.1.images.push(row.image);
            set.1.labels.push(row.label);
            set.2.push(row.predicted);
        }
        let mut sets = sets.into_iter();
        let (run, mut all, predicted) = sets
            .next()
            .ok_or_else(|| damaged("it has no rows".into()))?;
        all.runs.push((run, predicted));
        for (run, of_run, predicted) in sets {
            if let Err(EvalError::OtherImages { problem }) = all.check_same_images(&of_run) {
                let PredictionRun {
                    method,
                    fraction,
                    draw,
                } = run;
                let problem = format!("{method}, {fraction}, draw {draw}: {problem}");
                return Err(damaged(problem));
            }
            all.runs.push((run, predicted));
        }
        Ok(all)
    }
}
