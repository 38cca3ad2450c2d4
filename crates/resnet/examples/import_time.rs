//! The Rust side of benches/peers/import_checkpoint.py. Imports a file once, in this fresh process,
//! and prints the seconds and the peak growth of the process in bytes.

use std::error::Error;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::prelude::*;
use e2mc_resnet::{BatchNorm, BatchNormConfig, Checkpoint, Layout, ResNet, ResNetConfig};

/// VICReg's model. A tuple has the names of PyTorch's `Sequential`.
#[derive(Module, Debug)]
struct VicReg {
    backbone: ResNet,
    projector: (Linear, BatchNorm, Relu, Linear, BatchNorm, Relu, Linear),
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: import_time FILE")?;
    let device = Device::flex();
    let before = resident("VmRSS:")?;
    let start = Instant::now();
    let checkpoint = Checkpoint::open(&path)?;
    let report = if checkpoint.layout() == Layout::VicReg {
        let width = |name: &str| checkpoint.shape(name).ok_or("a projector of three layers");
        let d = width("projector.0.weight")?[0];
        let mut model = VicReg {
            backbone: ResNetConfig::resnet50().init(&device),
            projector: (
                LinearConfig::new(2048, d).init(&device),
                BatchNormConfig::new(d).init(&device),
                Relu::new(),
                LinearConfig::new(d, d).init(&device),
                BatchNormConfig::new(d).init(&device),
                Relu::new(),
                LinearConfig::new(d, d).with_bias(false).init(&device),
            ),
        };
        let report = checkpoint.load_into(&mut model, "")?;
        std::mem::forget(model);
        report
    } else {
        let import = checkpoint.import_backbone(&device)?;
        let report = import.report.clone();
        std::mem::forget(import);
        report
    };
    let seconds = start.elapsed().as_secs_f64();
    let peak = resident("VmHWM:")? - before;
    println!("{seconds} {peak} {}", report.loaded.len());
    Ok(())
}

/// A line of /proc/self/status in bytes (Linux only).
fn resident(line: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.trim().strip_suffix(" kB"))
        .ok_or("no such line in /proc/self/status")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}
