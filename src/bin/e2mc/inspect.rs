use std::path::PathBuf;

use burn::tensor::DType;
use clap::Args;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use e2mc::plan::CheckpointStart;
use e2mc::resnet::Checkpoint;
use e2mc::resnet::checkpoint::TensorInfo;
use e2mc::{Result, load_backbone, open_checkpoint, parse_device};

use crate::checkpoint_options::ReadingOptions;
use crate::tables::{self, right, table};

/// Width at which long lines of the summary wrap.
const WIDTH: u16 = 120;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The checkpoint: a file written by torch.save, or safetensors. Nothing in it is executed
    file: PathBuf,
    /// Only the summary, without the table of modules
    #[arg(long)]
    brief: bool,
    /// Print a summary as JSON instead of tables
    #[arg(long, conflicts_with = "brief")]
    json: bool,
    #[command(flatten)]
    reading: ReadingOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let start = arguments.reading.start(arguments.file);
    let checkpoint = open_checkpoint(&start)?;
    if arguments.json {
        tables::print(&tables::json(&as_json(&checkpoint)));
        return Ok(());
    }
    let mut text = String::new();
    if !arguments.brief {
        text.push_str(&format!("{}\n", modules(&checkpoint)));
    }
    text.push_str(&format!("{}\n", parts(&checkpoint)));
    text.push_str(&format!("{}\n", facts(&checkpoint, &start)));
    for line in checkpoint.decisions() {
        text.push_str(&format!("{line}\n"));
    }
    tables::print(text.trim_end());
    Ok(())
}

fn as_json(checkpoint: &Checkpoint) -> serde_json::Value {
    let summary = checkpoint.summary();
    let parts = summary.parts.iter().map(|part| {
        serde_json::json!({
            "name": part.name,
            "tensors": part.tensors,
            "parameters": part.parameters,
            "other_values": part.buffers,
        })
    });
    serde_json::json!({
        "format": summary.format.to_string(),
        "method": summary.layout.to_string(),
        "network": summary.architecture.as_ref().ok().map(|config| config.name()),
        "features": summary.architecture.as_ref().ok().map(|config| config.out_features()),
        "epoch": summary.epoch,
        "momentum": summary.momentum,
        "tensors_beside_the_model": summary.outside,
        "parts": parts.collect::<Vec<_>>(),
        "decisions": checkpoint.decisions(),
    })
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
    let mut table = table(&["module", "tensors", "parameters"]);
    for (module, tensors) in rows {
        let parameters: usize = tensors
            .iter()
            .filter(|tensor| tensor.is_parameter())
            .map(TensorInfo::elements)
            .sum();
        table.add_row([module, shapes(&tensors), thousands(parameters)]);
    }
    right(&mut table, 2);
    table
}

/// `weight, bias [64]; num_batches_tracked [] i64`: names grouped by shape.
fn shapes(tensors: &[TensorInfo]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for tensor in tensors {
        let name = tensor.name.rsplit('.').next().unwrap_or(&tensor.name);
        let mut shape = format!("{:?}", tensor.shape);
        if !matches!(tensor.dtype, DType::F32) {
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
    let mut table = table(&["part", "tensors", "parameters", "other values"]);
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
    right(&mut table, 1);
    table
}

fn facts(checkpoint: &Checkpoint, start: &CheckpointStart) -> Table {
    let summary = checkpoint.summary();
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    let file = &start.path;
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
            Err(error) => format!("{n} tensors, with momentum that cannot be used: {error}"),
        },
        (n, false) => format!("{n} tensors, no momentum"),
    };
    table.add_row(["beside the model".into(), outside]);
    if summary.architecture.is_ok() {
        // This reads the values, so it detects a damaged file. Always on the CPU.
        let device = parse_device("flex").unwrap_or_default();
        let import = match load_backbone(checkpoint, start, &device) {
            Ok(_) => "works".into(),
            Err(error) => error.to_string(),
        };
        table.add_row(["import of the backbone".into(), import]);
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
