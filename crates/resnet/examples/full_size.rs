//! The Rust side of tests/reference/resnet_full_size.py. Imports every checkpoint in a folder that
//! also has expected outputs, compares them, and exports the network.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use burn::module::Module;
use burn::prelude::*;
use e2mc_resnet::{Checkpoint, ResNet, save_backbone};

const TOLERANCE: f64 = 1e-4;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: full_size FOLDER, as resnet_full_size.py calls it")?;
    let mut names: Vec<String> = std::fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| {
            name.strip_suffix(".expected.safetensors")
                .map(str::to_string)
        })
        .collect();
    names.sort();
    let mut worst = 0.0f64;
    for name in names {
        worst = worst.max(check(Path::new(&folder), &name)?);
    }
    println!("largest relative difference in Rust: {worst:.1e}, tolerance {TOLERANCE:.0e}");
    Ok(match worst <= TOLERANCE {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Compares one checkpoint in all its cases; returns the largest relative difference.
fn check(folder: &Path, name: &str) -> Result<f64, Box<dyn Error>> {
    let checkpoint = Checkpoint::open(folder.join(name))?;
    let expected = Checkpoint::open(folder.join(format!("{name}.expected.safetensors")))?;
    let import = checkpoint.import_backbone(&Device::flex())?;
    println!("{name}: {}", checkpoint.summary());
    println!("  {}", import.report);
    save_backbone(
        &import.backbone,
        folder.join(format!("{name}.exported.safetensors")),
    )?;
    let mut worst = 0.0f64;
    let cases: Vec<String> = expected.tensors().map(|tensor| tensor.name).collect();
    for case in cases.iter().filter(|case| !case.contains(".after.")) {
        let (size, mode) = case.split_once('.').ok_or("a case is SIZE.MODE")?;
        let (h, w) = size.split_once('x').ok_or("a size is HxW")?;
        let (h, w) = (h.parse()?, w.parse()?);
        let truth = floats(expected.read(case)?);
        let (difference, statistics) = if mode == "train" {
            let model = checkpoint
                .import_backbone(&Device::flex().autodiff())?
                .backbone;
            let output = model.forward(exact_input(h, w, &Device::flex().autodiff()));
            let after = after(&model.valid(), &expected, size)?;
            (relative(&floats(output.into_data()), &truth), Some(after))
        } else {
            let output = import.backbone.forward(exact_input(h, w, &Device::flex()));
            (relative(&floats(output.into_data()), &truth), None)
        };
        print!("  {size} {mode}: {difference:.1e}");
        match statistics {
            Some(after) => println!(", running statistics after the step {after:.1e}"),
            None => println!(),
        }
        worst = worst.max(difference).max(statistics.unwrap_or(0.0));
    }
    Ok(worst)
}

/// The largest relative difference of the running statistics.
fn after(model: &ResNet, expected: &Checkpoint, size: &str) -> Result<f64, Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("full_size_{}.safetensors", std::process::id()));
    save_backbone(model, &folder)?;
    let found = Checkpoint::open(&folder)?;
    let prefix = format!("{size}.after.");
    let mut worst = 0.0f64;
    for tensor in expected.tensors() {
        if let Some(name) = tensor.name.strip_prefix(&prefix) {
            let truth = floats(expected.read(&tensor.name)?);
            worst = worst.max(relative(&floats(found.read(name)?), &truth));
        }
    }
    std::fs::remove_file(folder)?;
    Ok(worst)
}

/// As `exact_input` in tests/reference/resnet.py.
fn exact_input(h: usize, w: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..(2 * 3 * h * w) as u64)
        .map(|i| ((i * 2_654_435_761 % (1 << 32)) >> 8) as f32 / 4_194_304.0 - 2.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [2, 3, h, w]), device)
}

fn floats(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

/// `|found - truth| / |truth|` in the Euclidean norm.
fn relative(found: &[f32], truth: &[f32]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = squares(&mut found.iter().zip(truth).map(|(a, b)| *a as f64 - *b as f64));
    (difference / squares(&mut truth.iter().map(|v| *v as f64)).max(1e-30)).sqrt()
}
