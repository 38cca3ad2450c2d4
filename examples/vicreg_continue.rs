//! Continue pre-training a VICReg checkpoint with E2MC, and measure whether it improved.
//!
//!     cargo run --release --example vicreg_continue [CHECKPOINT FOLDER]
//!
//! Without arguments, it uses a small checkpoint made by `e2mc pretrain`, and the images that come
//! with e2mc. Training continues from the epoch and the optimizer's momentum of the official
//! `resnet50_fullckpt.pth`.

mod common;

use std::process::ExitCode;

use e2mc::Preset;
use e2mc::plan::CheckpointStart;

fn main() -> ExitCode {
    let (plan, output) = match common::arguments() {
        Some((checkpoint, images)) => {
            let start = CheckpointStart::new(checkpoint);
            let mut plan = Preset::Vicreg1000.continuation(start);
            plan.data = Some(images);
            (plan, "runs/vicreg_continue")
        }
        None => {
            let start = CheckpointStart::new(common::file("vicreg_fashion_mnist.safetensors"));
            (
                Preset::VicregSmall.continuation(start),
                "runs/vicreg_continue_small",
            )
        }
    };
    common::run(plan, output)
}
