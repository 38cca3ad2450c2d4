use clap::Args;
use e2mc::Preset;
use e2mc::eval::LabelAmount;
use e2mc::plan::ProbePlan;

/// Which labels the probes see.
#[derive(Args)]
#[command(next_help_heading = "Probes")]
pub(crate) struct LabelOptions {
    /// Amounts of labels, such as 1%,5/class,100% [default: 1%,10%,100%]
    #[arg(long, value_delimiter = ',', value_name = "AMOUNTS")]
    pub(crate) labels: Vec<LabelAmount>,
    /// Draws of the labeled images per amount below 100% [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) label_draws: Option<usize>,
}

impl LabelOptions {
    /// The probes of a preset, with what was asked for.
    pub(crate) fn apply(&self, probes: &mut Vec<ProbePlan>, preset: Preset) {
        if !self.labels.is_empty() {
            let labels = self.labels.iter();
            *probes = labels.map(|&labels| preset.probe(labels)).collect();
        }
        if let Some(draws) = self.label_draws {
            for probe in probes
                .iter_mut()
                .filter(|probe| probe.labels != LabelAmount::ALL)
            {
                probe.draws = draws;
            }
        }
    }
}
