use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use e2mc::plan::CheckpointStart;
use e2mc::{
    BaseName, Observer, Part, ReproductionPlan, Result, SavePlan, free_run_folder, reproduce,
};

use crate::checkpoint_options::ReadingOptions;
use crate::tables;
use crate::terminal::Terminal;
use crate::train_options::first_image;

/// The checkpoints that come with e2mc, with the stride of their stems.
const CHECKPOINTS: [(BaseName, &str, Option<usize>); 3] = [
    (BaseName::VicReg, "vicreg_fashion_mnist.safetensors", None),
    (BaseName::Swav, "swav_fashion_mnist.pth.tar", Some(2)),
    (BaseName::SimSiam, "simsiam_fashion_mnist.safetensors", None),
];

/// Every run has its own folder in the output folder. To resume a stopped reproduction, repeat the
/// command with `--output` and its folder.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these tables: 1, 2, 3, D.1, D.2
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = Part::table)]
    table: Vec<Part>,
    /// Only these figures: 2, D.1, 3, 4
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = Part::figure)]
    figure: Vec<Part>,
    /// Labeled images [default: the embedded images of Fashion-MNIST]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Checkpoint of SwAV [default: the one that comes with e2mc; with --data, one trained first
    /// with the preset swav-small]
    #[arg(long, value_name = "FILE")]
    swav: Option<PathBuf>,
    /// Checkpoint of VICReg [default: as for SwAV, with vicreg-small]
    #[arg(long, value_name = "FILE")]
    vicreg: Option<PathBuf>,
    /// Checkpoint of SimSiam [default: as for SwAV, with simsiam-small]
    #[arg(long, value_name = "FILE")]
    simsiam: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Seeds of each continued training
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// Epochs of continued training; Table D.2 trains half as long
    #[arg(long, value_name = "N", default_value_t = 10)]
    epochs: usize,
    /// Images per step [default: the preset's]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Draws of the labeled images per amount below 100% [default: the preset's]
    #[arg(long, value_name = "N")]
    label_draws: Option<usize>,
    /// Device to compute on
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: String,
    /// Folder of the runs and the report [default: the first free of runs/reproduce, ...]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Print the results as JSON instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let plan = arguments.plan()?;
    let output = arguments.output.clone();
    let output = output.unwrap_or_else(|| free_run_folder(Path::new("runs/reproduce")));
    let terminal = Arc::new(Terminal::new());
    terminal.stop_on_signals();
    let observer: Arc<dyn Observer> = terminal.clone();
    let sections = reproduce(&plan, SavePlan::default(), &output, &observer);
    terminal.finish();
    let sections = sections?;
    match arguments.json {
        true => tables::print(&tables::json(&sections)),
        false => {
            for section in &sections {
                tables::print(&section.title);
                if let Some(table) = &section.table {
                    tables::print(tables::draw(table).trim_end());
                }
                tables::print(&format!("{}\n", section.line));
            }
        }
    }
    eprintln!("report: {}", output.join("report.html").display());
    eprintln!("done in {:.0} s", terminal.elapsed().as_secs_f64());
    Ok(())
}

impl Arguments {
    fn plan(&self) -> Result<ReproductionPlan> {
        let asked: Vec<Part> = self.table.iter().chain(&self.figure).copied().collect();
        let parts = Part::ALL.into_iter();
        let parts = parts.filter(|part| asked.is_empty() || asked.contains(part));
        let bases = CHECKPOINTS.map(|(base, file, stride)| {
            let given = match base {
                BaseName::Swav => &self.swav,
                BaseName::VicReg => &self.vicreg,
                BaseName::SimSiam => &self.simsiam,
            };
            let start = match (given, &self.data) {
                (Some(file), _) => Some(self.reading.start(file.clone())),
                (None, Some(_)) => None,
                (None, None) => {
                    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("checkpoints");
                    let mut start = CheckpointStart::new(folder.join(file));
                    start.stem_stride = stride;
                    Some(start)
                }
            };
            (base, start)
        });
        Ok(ReproductionPlan {
            parts: parts.collect(),
            image_shape: self.data.as_deref().map(first_image).transpose()?,
            data: self.data.clone(),
            bases: bases.to_vec(),
            seeds: self.seeds,
            epochs: self.epochs,
            batch_size: self.batch_size,
            label_draws: self.label_draws,
            device: self.device.clone(),
        })
    }
}
