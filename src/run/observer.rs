use std::path::Path;

use e2mc_data::FailedRead;
use e2mc_eval::diagnostics::Collapse;

use crate::LabelProbes;
use crate::StepMetrics;

/// An event of a run. The library prints nothing, but passes events to an [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A decision or finding before the long work begins: layout and classes of the data, network
    /// and prefix of the checkpoint, sizes.
    Decision(&'a str),
    /// A note for the user: something left out, unwise or replaced.
    Note(&'a str),
    /// The run begins or resumes in this folder.
    Started {
        /// The run folder.
        folder: &'a Path,
        /// Whether it contains an earlier part of the same run.
        resumed: bool,
    },
    /// Progress of long work. `done` of a `task` goes from 0 to `total`, which is 0 while unknown.
    Progress {
        /// The task's name, such as `features, base`.
        task: &'a str,
        /// The amount done.
        done: usize,
        /// The total amount.
        total: usize,
    },
    /// A training step was taken or skipped.
    Step {
        /// Its metrics.
        metrics: &'a StepMetrics,
        /// Total number of steps of the branch.
        total: usize,
    },
    /// Embeddings have collapsed. Sent when the collapse begins.
    Collapsed {
        /// Title of the branch or backbone.
        title: &'a str,
        /// The training step. None after training, on test images.
        step: Option<usize>,
        /// The kind of collapse.
        collapse: Collapse,
    },
    /// An image could not be read. Sent once per image.
    FailedImage(&'a FailedRead),
    /// A branch has reached the end of its training.
    Trained {
        /// Title of the branch.
        branch: &'a str,
        /// Its first step of this run, and its last.
        first_and_last: [&'a StepMetrics; 2],
    },
    /// A backbone was probed.
    Probed {
        /// Title of the backbone.
        backbone: &'a str,
        /// One entry for each amount of labels.
        probes: &'a [LabelProbes],
    },
    /// The probe with the fewest labels was run on a branch in training.
    ProbedInTraining {
        /// Title of the branch.
        branch: &'a str,
        /// Whole epochs done.
        epoch: usize,
        /// The probe, one accuracy per draw of labels.
        probes: &'a LabelProbes,
    },
    /// A kNN classifier on held-out training images was evaluated.
    Monitored {
        /// Title of the branch.
        branch: &'a str,
        /// Whole epochs done.
        epoch: usize,
        /// Top-1 accuracy in percent.
        accuracy: f64,
        /// The best accuracy so far, and its epoch.
        best: (f64, usize),
    },
}

/// Receives the events of a run, possibly from several threads at once.
pub trait Observer: Send + Sync {
    /// Called for each event.
    fn event(&self, event: &Event);

    /// Whether the run should save its state and return [`Error::Stopped`](crate::Error::Stopped).
    /// Asked after each step and each batch.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}
