//! Says what a checkpoint is: who wrote it, which network it holds, and what an import would take and leave.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use e2mc::parse_device;
use e2mc::resnet::checkpoint::{CheckpointError, TensorInfo};
use e2mc::resnet::{Checkpoint, infer_resnet_config};

/// Columns at which long lines of the summary are broken.
const WIDTH: u16 = 120;

/// Print what a checkpoint holds: a file written by torch.save, or .safetensors. Nothing in it is executed.
#[derive(Parser)]
struct Arguments {
    /// The checkpoint
    file: PathBuf,
    /// Only the summary, without the table of modules
    #[arg(long)]
    brief: bool,
    /// The backbone's prefix, where it is not recognised, such as model.encoder
    #[arg(long)]
    prefix: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(text) => {
            // A reader that stops early, such as `head`, is no error.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<String, CheckpointError> {
    let mut checkpoint = Checkpoint::open(&arguments.file)?;
    if let Some(prefix) = &arguments.prefix {
        checkpoint = checkpoint.with_backbone_prefix(prefix)?;
    }
    let mut text = String::new();
    if !arguments.brief {
        text.push_str(&format!("{}\n", modules(&checkpoint)));
    }
    text.push_str(&format!("{}\n", parts(&checkpoint)));
    text.push_str(&format!("{}\n", facts(&checkpoint, &arguments.file)?));
    Ok(text)
}

/// One row per module: its tensors with their shapes, and its parameters.
fn modules(checkpoint: &Checkpoint) -> Table {
    let mut rows: Vec<(String, Vec<TensorInfo>)> = Vec::new();
    for tensor in checkpoint.tensors() {
        let module = tensor
            .name
            .rsplit_once('.')
            .map_or("", |(module, _)| module);
        match rows.last_mut() {
            Some((last, tensors)) if last == module => tensors.push(tensor),
            _ => rows.push((module.to_string(), vec![tensor])),
        }
    }
    let mut table = table(["module", "tensors", "parameters"]);
    for (module, tensors) in rows {
        let parameters: usize = tensors
            .iter()
            .filter(|tensor| tensor.is_parameter())
            .map(TensorInfo::elements)
            .sum();
        table.add_row([module, shapes(&tensors), thousands(parameters)]);
    }
    right(table, 2)
}

/// `weight, bias [64]; num_batches_tracked [] i64`: names of equal shape together.
fn shapes(tensors: &[TensorInfo]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for tensor in tensors {
        let name = tensor.name.rsplit('.').next().unwrap_or(&tensor.name);
        let mut shape = format!("{:?}", tensor.shape);
        if !matches!(tensor.dtype, burn::tensor::DType::F32) {
            shape.push_str(&format!(" {:?}", tensor.dtype).to_lowercase());
        }
        match groups.iter_mut().find(|(other, _)| *other == shape) {
            Some((_, names)) => names.push(name),
            None => groups.push((shape, vec![name])),
        }
    }
    let groups: Vec<String> = groups
        .into_iter()
        .map(|(shape, names)| format!("{} {shape}", names.join(", ")))
        .collect();
    groups.join("; ")
}

fn parts(checkpoint: &Checkpoint) -> Table {
    let summary = checkpoint.summary();
    let mut table = table(["part", "tensors", "parameters", "other values"]);
    for part in &summary.parts {
        table.add_row([
            part.name.clone(),
            thousands(part.tensors),
            thousands(part.parameters),
            thousands(part.buffers),
        ]);
    }
    if summary.parts.len() > 1 {
        table.add_row([
            "all".into(),
            thousands(summary.parts.iter().map(|part| part.tensors).sum()),
            thousands(summary.parameters()),
            thousands(summary.parts.iter().map(|part| part.buffers).sum()),
        ]);
    }
    right(table, 1)
}

fn facts(checkpoint: &Checkpoint, file: &Path) -> Result<Table, CheckpointError> {
    let summary = checkpoint.summary();
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len()) as f64 / 1e6;
    table.add_row(["file".into(), format!("{} ({size:.1} MB)", file.display())]);
    table.add_row(["format".into(), summary.format.to_string()]);
    table.add_row(["method".into(), summary.layout.to_string()]);
    table.add_row([
        "network".into(),
        match &summary.architecture {
            Ok(config) => format!("{}, {} features", config.name(), config.out_features()),
            Err(reason) => format!("none that this program knows: {reason}"),
        },
    ]);
    if let Some(arch) = &summary.arch {
        table.add_row(["arch, as stated".into(), arch.clone()]);
    }
    if let Some(epoch) = summary.epoch {
        table.add_row(["epoch, as stated".into(), epoch.to_string()]);
    }
    let outside = match (summary.outside, summary.momentum) {
        (0, _) => "nothing".into(),
        (n, true) => match checkpoint.optimizer_momentum() {
            Ok(momentum) => format!(
                "{n} tensors, with momentum of {} parameters",
                momentum.len()
            ),
            Err(error) => format!("{n} tensors, with momentum that is of no use: {error}"),
        },
        (n, false) => format!("{n} tensors, no momentum"),
    };
    table.add_row(["beside the model".into(), outside]);
    if summary.architecture.is_ok() {
        // The values are read: a damaged file shows here. The network is made on the CPU, whatever else is built in.
        let device = parse_device("flex").unwrap_or_default();
        let mut backbone = infer_resnet_config(checkpoint)?.init(&device);
        let report = checkpoint.load_partial_into(&mut backbone, checkpoint.backbone_prefix()?)?;
        table.add_row(["import of the backbone".into(), report.to_string()]);
    }
    Ok(table)
}

fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(headings);
    table
}

/// Aligns the columns from `first` on to the right.
fn right(mut table: Table, first: usize) -> Table {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `25,557,032`.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
