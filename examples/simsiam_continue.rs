//! Continue pre-training a SimSiam checkpoint with E2MC, and measure whether it improved.
//!
//!     cargo run --release --example simsiam_continue [CHECKPOINT FOLDER]
//!
//! Without arguments, it uses a small checkpoint made by `e2mc pretrain`, and the images that come
//! with e2mc.

mod common;

use std::process::ExitCode;

use e2mc::Preset;
use e2mc::plan::CheckpointStart;

fn main() -> ExitCode {
    let (plan, output) = match common::arguments() {
        Some((checkpoint, images)) => {
            let start = CheckpointStart::new(checkpoint);
            let mut plan = Preset::SimSiam100.continuation(start);
            plan.data = Some(images);
            (plan, "runs/simsiam_continue")
        }
        None => {
            let start = CheckpointStart::new(common::file("simsiam_fashion_mnist.safetensors"));
            (
                Preset::SimSiamSmall.continuation(start),
                "runs/simsiam_continue_small",
            )
        }
    };
    common::run(plan, output)
}
