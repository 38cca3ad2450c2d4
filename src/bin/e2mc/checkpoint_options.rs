use std::path::PathBuf;

use clap::Args;
use e2mc::plan::CheckpointStart;

/// Options for reading a checkpoint.
#[derive(Args, Clone)]
#[command(next_help_heading = "Reading the checkpoint")]
pub(crate) struct ReadingOptions {
    /// Prefix of the network's names in the file, such as teacher.backbone [default: found]
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Ignore tensors within the network's blocks that it does not have; features may then be wrong
    #[arg(long)]
    pub(crate) allow_unused: bool,
    /// Stride of the first convolution of a network for small images; most PyTorch files do not
    /// state it [default: from the file, else 1]
    #[arg(long, value_name = "N")]
    pub(crate) stem_stride: Option<usize>,
    /// Padding of that convolution [default: from the file, else half the kernel]
    #[arg(long, value_name = "N")]
    pub(crate) stem_padding: Option<usize>,
}

impl ReadingOptions {
    pub(crate) fn start(&self, path: PathBuf) -> CheckpointStart {
        let mut start = CheckpointStart::new(path);
        start.prefix = self.prefix.clone();
        start.allow_unused = self.allow_unused;
        start.stem_stride = self.stem_stride;
        start.stem_padding = self.stem_padding;
        start
    }
}
