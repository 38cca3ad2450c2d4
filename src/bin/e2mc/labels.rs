use clap::Args;
use e2mc::plan::{Labels, ProbePlan};
use e2mc::{Preset, Result};

/// The labels for the probes.
#[derive(Args)]
#[command(next_help_heading = "Probes")]
pub(crate) struct LabelOptions {
    /// Labels: amounts such as 1%,5/class,100%, or list:FILE for the images named in a text file,
    /// one per line, such as the published 1% and 10% of ImageNet [default: 1%,10%,100%]
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    labels: Vec<Labels>,
    /// Draws of the labeled images per amount below 100% [default: 3; for small images 16 at about
    /// 1%, 8 above]
    #[arg(long, value_name = "N")]
    label_draws: Option<usize>,
}

/// Default number of label draws: the paper's trials.
const DRAWS: usize = 3;

impl LabelOptions {
    /// The given labels, or `default`.
    pub(crate) fn labels_or(&self, default: impl Into<Labels>) -> Vec<Labels> {
        match self.labels.is_empty() {
            true => vec![default.into()],
            false => self.labels.clone(),
        }
    }

    /// Draws of the labeled images.
    pub(crate) fn draws(&self) -> usize {
        self.label_draws.unwrap_or(DRAWS)
    }

    /// Changes the probes of a preset according to the options.
    pub(crate) fn apply(&self, probes: &mut Vec<ProbePlan>, preset: Preset) -> Result<()> {
        if !self.labels.is_empty() {
            let labels = self.labels.iter().cloned();
            *probes = labels
                .map(|labels| preset.probe(labels))
                .collect::<Result<_, _>>()?;
        }
        if let Some(draws) = self.label_draws {
            for probe in probes.iter_mut().filter(|probe| probe.labels.are_drawn()) {
                probe.draws = draws;
            }
        }
        Ok(())
    }
}
