//! Continue pre-training a SwAV checkpoint with E2MC, and measure whether it improved.
//!
//!     cargo run --release --example swav_continue [CHECKPOINT FOLDER]
//!
//! Without arguments, it uses the small checkpoint and the images that come with e2mc.

mod common;

use std::process::ExitCode;

use e2mc::Preset;
use e2mc::plan::CheckpointStart;

fn main() -> ExitCode {
    let (plan, output) = match common::arguments() {
        // ResNet-50 at 224 pixels, as in the paper.
        Some((checkpoint, images)) => {
            let start = CheckpointStart::new(checkpoint);
            let mut plan = Preset::Swav800.continuation(start);
            plan.data = Some(images);
            (plan, "runs/swav_continue")
        }
        None => {
            let start = CheckpointStart::new(common::file("swav_fashion_mnist.pth.tar"));
            (
                Preset::SwavSmall.continuation(start),
                "runs/swav_continue_small",
            )
        }
    };
    common::run(plan, output)
}
