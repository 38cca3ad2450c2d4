use std::path::Path;

use e2mc_data::FailedRead;
use e2mc_eval::diagnostics::Collapse;

use crate::LabelProbes;
use crate::StepMetrics;

/// What happens in a run. The library prints nothing: it tells an [`Observer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What the program had to decide or found out, before anything long begins: layout and classes
    /// of the data, network and prefix of the checkpoint, sizes.
    Decision(&'a str),
    /// Something to know: what was left out, what is unwise, what was replaced.
    Note(&'a str),
    /// The run begins or resumes in this folder.
    Started {
        /// The run folder.
        folder: &'a Path,
        /// Whether it holds an earlier part of the same run.
        resumed: bool,
    },
    /// Long work advanced. The same `task` from 0 to `total`; `total` is 0 while it is unknown.
    Progress {
        /// What is done, such as `features, base`.
        task: &'a str,
        /// How much of it.
        done: usize,
        /// Out of how much.
        total: usize,
    },
    /// A training step was taken or refused.
    Step {
        /// Its figures.
        metrics: &'a StepMetrics,
        /// Steps of the branch in all.
        total: usize,
    },
    /// Embeddings have collapsed; told when it begins.
    Collapsed {
        /// Title of the branch or backbone.
        title: &'a str,
        /// The step of the training; none after it, on test images.
        step: Option<usize>,
        /// How.
        collapse: Collapse,
    },
    /// An image could not be read; each is told once.
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
        /// The best so far, and the epoch that had it.
        best: (f64, usize),
    },
}

/// Gets the events of a run, possibly from several threads at once.
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
