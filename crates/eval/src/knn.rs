use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::accuracy::{accuracy, correct};
use crate::nearest::Nearest;
use crate::{EvalError, FeaturesPart, Result};

/// Test and training rows compared at a time, to bound the memory of their similarities.
const TEST_ROWS: usize = 2048;
const TRAIN_ROWS: usize = 4096;

/// Settings of a [`knn`] classifier.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct KnnConfig {
    /// Number of neighbors that vote, from 1 to the number of training images.
    #[config(default = 20)]
    pub k: usize,
    /// A neighbor of cosine similarity s has `exp(s / temperature)` votes; positive.
    #[config(default = 0.07)]
    pub temperature: f64,
}

/// The result of a [`knn`] classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnnResult {
    /// Top-1 accuracy on the test images, in [0, 1].
    pub accuracy: f64,
    /// Predicted class of each test image.
    pub predictions: Vec<u32>,
    /// Whether the prediction is correct. Input of the paired statistics.
    pub correct: Vec<bool>,
}

/// Classifies each test image by a weighted vote of its nearest training images (Wu et al. 2018).
/// The k images with the highest cosine similarity s vote for their class with weight
/// `exp(s / temperature)`.
///
/// Ties in similarity go to the earlier training image, ties in votes to the lower class. A feature
/// vector of zeros has similarity 0 to all. Training and test features are a whole `&Features` or a
/// [`part`](crate::Features::part). They are not copied: the device compares them in blocks, in
/// f32.
///
/// # Errors
///
/// [`EvalError::InvalidOption`] for k or temperature out of range, [`EvalError::DimensionMismatch`]
/// and [`EvalError::ClassMismatch`] if the dimensions or classes of the two sets differ.
pub fn knn<'a, 'b>(
    train: impl Into<FeaturesPart<'a>>,
    test: impl Into<FeaturesPart<'b>>,
    config: &KnnConfig,
    device: &Device,
) -> Result<KnnResult> {
    let results = knn_for_each(train, test, &[config.k], config.temperature, device)?;
    Ok(results.into_iter().next().expect("one result per k"))
}

/// [`knn`] for several numbers of neighbors: one result per value of `ks`, in that order. It costs
/// no more than the largest k alone.
///
/// # Errors
///
/// The errors of [`knn`].
pub fn knn_for_each<'a, 'b>(
    train: impl Into<FeaturesPart<'a>>,
    test: impl Into<FeaturesPart<'b>>,
    ks: &[usize],
    temperature: f64,
    device: &Device,
) -> Result<Vec<KnnResult>> {
    let (train, test) = (train.into(), test.into());
    train.check_same_space(&test)?;
    if let Some(k) = ks.iter().find(|&&k| k == 0 || k > train.len()) {
        return Err(EvalError::InvalidOption {
            option: "k",
            value: format!("{k} with {} training images", train.len()),
            expected: "at least 1 and at most the number of training images",
        });
    }
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(EvalError::InvalidOption {
            option: "temperature",
            value: temperature.to_string(),
            expected: "a number above 0",
        });
    }
    let Some(largest) = ks.iter().copied().max() else {
        return Ok(Vec::new());
    };
    let device = device.clone().inner();

    let mut predictions = vec![Vec::with_capacity(test.len()); ks.len()];
    for start in (0..test.len()).step_by(TEST_ROWS) {
        let end = test.len().min(start + TEST_ROWS);
        let nearest = nearest(&train, unit_rows(&test, start, end, &device), largest);
        let votes: Vec<Vec<u32>> = nearest
            .par_iter()
            .map(|nearest| vote(nearest, &train, ks, temperature))
            .collect();
        for classes in votes {
            for (predictions, class) in predictions.iter_mut().zip(classes) {
                predictions.push(class);
            }
        }
    }
    let results = predictions.into_iter().map(|predictions| {
        let correct = correct(&predictions, &test);
        KnnResult {
            accuracy: accuracy(&correct),
            predictions,
            correct,
        }
    });
    Ok(results.collect())
}

/// The k nearest training images of each test image; `test` is `[b, d]`, its rows of length 1.
fn nearest(train: &FeaturesPart<'_>, test: Tensor<2>, k: usize) -> Vec<Nearest> {
    let [rows, _] = test.dims();
    let mut nearest = vec![Nearest::new(k); rows];
    for start in (0..train.len()).step_by(TRAIN_ROWS) {
        let end = train.len().min(start + TRAIN_ROWS);
        let block = unit_rows(train, start, end, &test.device());
        let similarities = test.clone().matmul(block.transpose()).into_data();
        let similarities = similarities.as_slice::<f32>().expect("features are f32");
        nearest
            .par_iter_mut()
            .zip(similarities.par_chunks_exact(end - start))
            .for_each(|(nearest, similarities)| nearest.add(start, similarities));
    }
    nearest
}

/// Rows `start..end`, each divided by its length.
fn unit_rows(part: &FeaturesPart<'_>, start: usize, end: usize, device: &Device) -> Tensor<2> {
    let dims = part.dims();
    let mut values = vec![0.0f32; (end - start) * dims];
    let rows = values.par_chunks_exact_mut(dims).enumerate();
    rows.for_each(|(i, unit)| {
        let row = part.row(start + i);
        let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let scale = if squares > 0.0 {
            squares.sqrt().recip()
        } else {
            0.0
        };
        for (unit, &x) in unit.iter_mut().zip(row) {
            *unit = (f64::from(x) * scale) as f32;
        }
    });
    Tensor::from_data(TensorData::new(values, [end - start, dims]), device)
}

/// The winning class for each number of voters.
fn vote(nearest: &Nearest, train: &FeaturesPart<'_>, ks: &[usize], temperature: f64) -> Vec<u32> {
    let found = nearest.found();
    let most = found
        .first()
        .map_or(0.0, |&(similarity, _)| f64::from(similarity));
    ks.iter()
        .map(|&k| {
            // (class, votes), sorted by class: there are few voters, but there may be many classes.
            let mut votes: Vec<(u32, f64)> = Vec::new();
            for &(similarity, image) in &found[..k] {
                // Relative to the largest similarity, so that no weight overflows.
                let weight = ((f64::from(similarity) - most) / temperature).exp();
                let class = train.label(image);
                match votes.binary_search_by_key(&class, |&(class, _)| class) {
                    Ok(at) => votes[at].1 += weight,
                    Err(at) => votes.insert(at, (class, weight)),
                }
            }
            let mut best = votes[0];
            for &(class, weight) in &votes[1..] {
                if weight > best.1 {
                    best = (class, weight);
                }
            }
            best.0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    fn found(similarities: &[f32]) -> Nearest {
        let mut nearest = Nearest::new(similarities.len());
        nearest.add(0, similarities);
        nearest
    }

    #[test]
    fn equal_votes_go_to_the_lower_class() {
        let train = Features::new(vec![0.0; 3], 1, vec![2, 1, 1], 3).unwrap();
        let votes = |similarities, k| vote(&found(similarities), &(&train).into(), &[k], 0.07)[0];
        assert_eq!(votes(&[0.5, 0.5, 0.1], 2), 1);
        assert_eq!(votes(&[0.5, 0.5, 0.1], 1), 2);
        assert_eq!(votes(&[0.9, 0.5, 0.5], 3), 2);
    }

    #[test]
    fn a_tiny_temperature_does_not_overflow() {
        let train = Features::new(vec![0.0; 3], 1, vec![0, 1, 1], 2).unwrap();
        let nearest = found(&[1.0, 0.9, 0.9]);
        assert_eq!(vote(&nearest, &(&train).into(), &[3], 1e-6), [0]);
    }
}
