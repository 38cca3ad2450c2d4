use std::path::{Path, PathBuf};
use std::sync::Mutex;

use e2mc_data::FailedRead;
use e2mc_data::source::ImageSource;
use e2mc_eval::Features;
use e2mc_resnet::{Checkpoint, ResNet};
use serde::{Deserialize, Serialize};
use ssl_methods::BaseMethod;

use super::branch::trained_file;
use super::{Study, embeddings};
use crate::files::{read_json, write_json};
use crate::plan::BASE;
use crate::probing::{Extraction, LabeledImages, PredictedProbe, extract, probe_all};
use crate::run::RunFolder;
use crate::{EmbeddingSummary, Error, Event, LabelProbes, Predictions};

/// What was measured of one backbone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackboneResults {
    /// Name in files: `base`, or the branch's.
    pub name: String,
    /// Name in tables and figures.
    pub title: String,
    /// The linear probes, one entry for each amount of labels; empty without labels.
    pub probes: Vec<LabelProbes>,
    /// The embeddings.
    pub embeddings: EmbeddingSummary,
    /// Labels of the test images, as the predictions' file has them.
    #[serde(skip)]
    pub test_labels: Vec<u32>,
}

/// `measured-NAME.json`: the results, and the images that could not be read for them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) results: BackboneResults,
    pub(super) failed_reads: Vec<FailedRead>,
}

/// The file of a backbone's results, whose presence says that all of it was measured.
pub(super) fn measured_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("measured-{name}.json"))
}

/// Some compact embeddings of a backbone.
pub(crate) fn embeddings_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("embeddings-{name}.safetensors"))
}

fn predictions_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("predictions-{name}.csv"))
}

impl<M: BaseMethod> Study<M> {
    /// Measures the backbone that all branches start from.
    pub(super) fn measure_base(&self, folder: &RunFolder) -> Result<BackboneResults, Error> {
        self.measured(BASE, BASE, folder, || (self.start)(&self.device))
    }

    /// Measures the backbone of a finished branch.
    pub(super) fn measure_branch(
        &self,
        name: &str,
        title: &str,
        folder: &RunFolder,
    ) -> Result<BackboneResults, Error> {
        self.measured(name, title, folder, || {
            let mut method = (self.start)(&self.device)?;
            Checkpoint::open(trained_file(folder, name))?.load_into(&mut method, "")?;
            Ok(method)
        })
    }

    /// The results of a backbone: as an earlier part of this run measured them, or measured now.
    fn measured(
        &self,
        name: &str,
        title: &str,
        folder: &RunFolder,
        load: impl FnOnce() -> Result<M, Error>,
    ) -> Result<BackboneResults, Error> {
        let file = measured_file(folder.root(), name);
        let predictions = predictions_file(folder.root(), name);
        if file.exists() {
            let Measured {
                mut results,
                failed_reads,
            } = read_json(&file)?;
            if let Some([train, _]) = &self.probed {
                self.report_failures(train.source(), &failed_reads);
                results.test_labels = read_predictions(&predictions, &mut results.probes)?;
            }
            // A run that was killed right after its measurement still has them.
            remove_features(folder, name)?;
            return Ok(results);
        }
        let failed = Mutex::new(Vec::new());
        let on_failed = |source: &dyn ImageSource, images: &[FailedRead]| {
            self.report_failures(source, images);
            let mut failed = failed.lock().expect("no thread panics here");
            failed.extend_from_slice(images);
        };
        let method = load()?;
        let shown = self.shown.source();
        let extraction = Extraction {
            device: &self.device,
            observer: &*self.observer,
            task: &format!("embeddings, {title}"),
            done_and_total: [0, shown.len()],
            folder: folder.root(),
            epoch: 0,
            failed: &|images| on_failed(shown, images),
        };
        let space = self.plan.method.compact_space();
        let (summary, compact) = embeddings::measure(&method, &self.shown, space, &extraction)?;
        compact.write(&embeddings_file(folder.root(), name))?;
        let (probes, test_labels) =
            self.probe(method.backbone(), name, title, folder, &on_failed)?;
        if let Some([_, test]) = &self.probed {
            let source = test.source();
            let file = Predictions {
                images: (0..source.len()).map(|i| source.image_name(i)).collect(),
                labels: test_labels.clone(),
                probes: probes.iter().map(Into::into).collect(),
            };
            file.write(&predictions)?;
        }
        let measured = Measured {
            results: BackboneResults {
                name: name.into(),
                title: title.into(),
                probes,
                embeddings: summary,
                test_labels,
            },
            failed_reads: failed.into_inner().expect("no thread panics here"),
        };
        write_json(&file, &measured)?;
        remove_features(folder, name)?;
        Ok(measured.results)
    }

    /// Linear probes on a backbone's features, and the labels of the test images; none without
    /// labels. Features are kept in the run folder until the probes are done.
    fn probe(
        &self,
        backbone: &ResNet,
        name: &str,
        title: &str,
        folder: &RunFolder,
        on_failed: &dyn Fn(&dyn ImageSource, &[FailedRead]),
    ) -> Result<(Vec<LabelProbes>, Vec<u32>), Error> {
        let Some(loaders) = &self.probed else {
            return Ok(Default::default());
        };
        let [train, test] = loaders;
        let total = train.source().len() + test.source().len();
        let mut done = 0;
        let mut features = Vec::new();
        for (part, loader) in PARTS.into_iter().zip(loaders) {
            let extraction = Extraction {
                device: &self.device,
                observer: &*self.observer,
                task: &format!("features, {title}"),
                done_and_total: [done, total],
                folder: folder.root(),
                epoch: 0,
                failed: &|images| on_failed(loader.source(), images),
            };
            let cache = features_file(folder, name, part);
            let extracted = extract(backbone, loader, Some(&cache), &extraction)?;
            done += loader.source().len();
            features.push(extracted);
        }
        let source = train.source();
        let names: Vec<String> = (0..source.len()).map(|i| source.image_name(i)).collect();
        let [train, test]: [Features; 2] = features.try_into().expect("two parts");
        let plans = &self.plan.probes;
        let total = plans.iter().map(|plan| plan.draws).sum();
        let mut done = 0;
        let task = format!("probes, {title}");
        let tick = || {
            done += 1;
            let task = &*task;
            self.observer.event(&Event::Progress { task, done, total });
            match self.observer.stop_requested() {
                true => Err(Error::Stopped {
                    folder: folder.root().to_path_buf(),
                }),
                false => Ok(()),
            }
        };
        let probes = probe_all(
            std::slice::from_ref(&train),
            &test,
            LabeledImages {
                place: source.name(),
                names: &names,
                labels: train.labels(),
                classes: source.classes(),
            },
            plans,
            self.plan.seed,
            &self.device,
            tick,
        )?;
        self.observer.event(&Event::Probed {
            backbone: title,
            probes: &probes,
        });
        Ok((probes, test.labels().to_vec()))
    }
}

/// Fills in the predictions of probes that an earlier part of the run trained. Returns the labels.
fn read_predictions(path: &Path, probes: &mut [LabelProbes]) -> Result<Vec<u32>, Error> {
    let file = Predictions::read(path)?;
    let of_these = |(probe, read): (&LabelProbes, &PredictedProbe)| {
        probe.labels.title() == read.name && probe.accuracies.len() == read.draws.len()
    };
    if file.probes.len() != probes.len() || !probes.iter().zip(&file.probes).all(of_these) {
        let reason = "it is of other probes; delete it and measured-NAME.json of the same NAME, and \
                      the backbone is measured again";
        return Err(Error::state(path, reason));
    }
    for (probe, read) in probes.iter_mut().zip(file.probes) {
        probe.predictions = read.draws;
    }
    Ok(file.labels)
}

const PARTS: [&str; 2] = ["train", "test"];

fn features_file(folder: &RunFolder, name: &str, part: &str) -> PathBuf {
    folder.path(&format!("features-{name}-{part}.safetensors"))
}

/// Removes the features of a backbone that is measured, if they are there.
fn remove_features(folder: &RunFolder, name: &str) -> Result<(), Error> {
    for part in PARTS {
        let file = features_file(folder, name, part);
        if file.exists() {
            std::fs::remove_file(&file).map_err(Error::write(&file))?;
        }
    }
    Ok(())
}
