use std::path::{Path, PathBuf};
use std::sync::Mutex;

use e2mc_data::FailedRead;
use e2mc_data::source::ImageSource;
use e2mc_resnet::{Backbone, Checkpoint};
use serde::{Deserialize, Serialize};
use ssl_methods::BaseMethod;

use super::{Study, embeddings};
use crate::files::{read_json, write_json};
use crate::plan::BASE;
use crate::probing::{
    Around, Extraction, FeaturesOf, LabeledImages, PredictedProbe, ProbeImages, Probing,
};
use crate::run::RunFolder;
use crate::{EmbeddingSummary, Error, Event, LabelProbes, Predictions, Result};

/// The measurements of one backbone.
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
    /// Overlap of the distances of embeddings to their nearest and to their 100th nearest neighbor,
    /// in [0, 1]. None for fewer than three images.
    #[serde(default)]
    pub neighbor_overlap: Option<f64>,
    /// Labels of the test images, as in the file of predictions.
    #[serde(skip)]
    pub test_labels: Vec<u32>,
}

/// `measured-NAME.json`: the results, and the unreadable images.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) results: BackboneResults,
    pub(super) failed_reads: Vec<FailedRead>,
}

/// The file of a backbone's results. Its presence means that all of it was measured.
pub(super) fn measured_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("measured-{name}.json"))
}

/// The method of a finished branch.
pub(super) fn trained_file(folder: &RunFolder, branch: &str) -> PathBuf {
    folder.path(&format!("checkpoints/{branch}.safetensors"))
}

/// Some compact embeddings of a backbone.
pub(crate) fn embeddings_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("embeddings-{name}.safetensors"))
}

pub(super) fn neighbors_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("neighbors-{name}.json"))
}

fn predictions_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("predictions-{name}.csv"))
}

impl<M: BaseMethod> Study<M> {
    /// Measures the backbone from which all branches start.
    pub(super) fn measure_base(&self, folder: &RunFolder) -> Result<BackboneResults> {
        self.measured(BASE, BASE, folder, || (self.start)(&self.device))
    }

    /// Measures the backbone of a finished branch.
    pub(super) fn measure_branch(
        &self,
        name: &str,
        title: &str,
        folder: &RunFolder,
    ) -> Result<BackboneResults> {
        self.measured(name, title, folder, || {
            let mut method = (self.start)(&self.device)?;
            Checkpoint::open(trained_file(folder, name))?.load_into(&mut method, "")?;
            Ok(method)
        })
    }

    /// The results of a backbone, from an earlier part of this run or measured now.
    fn measured(
        &self,
        name: &str,
        title: &str,
        folder: &RunFolder,
        load: impl FnOnce() -> Result<M>,
    ) -> Result<BackboneResults> {
        let file = measured_file(folder.root(), name);
        let predictions = predictions_file(folder.root(), name);
        if file.exists() {
            let Measured {
                mut results,
                failed_reads,
            } = read_json(&file)?;
            if let Some(images) = &self.probed {
                self.report_failures(images.train(), &failed_reads);
                results.test_labels = read_predictions(&predictions, &mut results.probes)?;
            }
            // A run killed right after its measurement still has these files.
            self.remove_features(folder, name)?;
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
        let (summary, compact, neighbors) =
            embeddings::measure(&method, &self.shown, space, &extraction)?;
        compact.write(&embeddings_file(folder.root(), name))?;
        if let Some(neighbors) = &neighbors {
            write_json(&neighbors_file(folder.root(), name), neighbors)?;
        }
        if let Some(collapse) = summary.collapse() {
            self.observer.event(&Event::Collapsed {
                title,
                step: None,
                collapse,
            });
        }
        let (probes, test_labels) =
            self.probe(method.backbone(), name, title, folder, &on_failed)?;
        if let Some(images) = &self.probed {
            let source = images.test();
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
                neighbor_overlap: neighbors.map(|distances| distances.overlap()),
                test_labels,
            },
            failed_reads: failed.into_inner().expect("no thread panics here"),
        };
        write_json(&file, &measured)?;
        self.remove_features(folder, name)?;
        Ok(measured.results)
    }

    /// Linear probes on a backbone's features, and the labels of the test images. Empty without
    /// labels. Features are kept in the run folder until the probes are done.
    fn probe(
        &self,
        backbone: &M::Backbone,
        name: &str,
        title: &str,
        folder: &RunFolder,
        on_failed: &(dyn Fn(&dyn ImageSource, &[FailedRead]) + Sync),
    ) -> Result<(Vec<LabelProbes>, Vec<u32>)> {
        let Some(images) = &self.probed else {
            return Ok(Default::default());
        };
        let around = Around {
            device: &self.device,
            observer: &*self.observer,
            title,
            folder: folder.root(),
            failed: on_failed,
        };
        let features = FeaturesOf::Average(backbone);
        let cache = |part: &str| Some(features_file(folder, name, part));
        let computed = images.features(&features, &around, cache)?;
        let source = images.train();
        let names: Vec<String> = (0..source.len()).map(|i| source.image_name(i)).collect();
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
        let fresh = images.fresh(&features, &around);
        let probing = Probing {
            train: computed.train(&fresh),
            test: &computed.test,
            channels: backbone.out_features(),
            images: LabeledImages {
                place: source.name(),
                names: &names,
                labels: computed.train_labels(source),
                classes: source.classes(),
                rows: None,
            },
            seed: self.plan.seed,
            device: &self.device,
        };
        let probes = probing.probe_all(plans, tick)?;
        self.observer.event(&Event::Probed {
            backbone: title,
            probes: &probes,
        });
        Ok((probes, computed.test.labels().to_vec()))
    }

    /// Removes the features of a measured backbone, if they exist.
    fn remove_features(&self, folder: &RunFolder, name: &str) -> Result<()> {
        let parts = self.probed.as_ref().map(ProbeImages::parts);
        for part in parts.unwrap_or_default() {
            let file = features_file(folder, name, &part);
            if file.exists() {
                std::fs::remove_file(&file).map_err(Error::write(&file))?;
            }
        }
        Ok(())
    }
}

/// Fills in the predictions of probes from an earlier part of the run. Returns the labels.
fn read_predictions(path: &Path, probes: &mut [LabelProbes]) -> Result<Vec<u32>> {
    let file = Predictions::read(path)?;
    let of_these = |(probe, read): (&LabelProbes, &PredictedProbe)| {
        probe.labels.title() == read.name && probe.accuracies.len() == read.draws.len()
    };
    if file.probes.len() != probes.len() || !probes.iter().zip(&file.probes).all(of_these) {
        let reason = "it has other probes; delete it and measured-NAME.json of the same NAME to \
                     measure the backbone again";
        return Err(Error::state(path, reason));
    }
    for (probe, read) in probes.iter_mut().zip(file.probes) {
        probe.predictions = read.draws;
    }
    Ok(file.labels)
}

fn features_file(folder: &RunFolder, name: &str, part: &str) -> PathBuf {
    folder.path(&format!("features-{name}-{part}.safetensors"))
}
