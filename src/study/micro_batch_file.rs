//! The sizes of `--micro-batch auto` in a run folder, one file for each branch, so that a resumed
//! run passes the same pieces.

use std::path::{Path, PathBuf};

use ssl_methods::leaves_single_image;

use crate::files::{read_json, write_json};
use crate::training::MicroBatchFrom;
use crate::{Error, Result};

fn file(root: &Path, branch: &str) -> PathBuf {
    root.join(format!("micro-batch-{branch}.json"))
}

/// The sizes of a branch; None if it has not begun. `share` are the images of a batch that one
/// device gets.
pub(super) fn read(root: &Path, branch: &str, share: usize) -> Result<Option<Vec<MicroBatchFrom>>> {
    let path = file(root, branch);
    if !path.exists() {
        return Ok(None);
    }
    let sizes: Vec<MicroBatchFrom> = read_json(&path)?;
    let begins = sizes.first().is_some_and(|first| first.step == 0);
    let usable = |size: &MicroBatchFrom| {
        size.images >= 2 && !leaves_single_image(share, size.images.min(share))
    };
    if !begins || !sizes.iter().all(usable) || !sizes.is_sorted_by(|a, b| a.step < b.step) {
        let reason = "not the micro-batches of this run; restore the file, or start a new run";
        return Err(Error::state(&path, reason));
    }
    Ok(Some(sizes))
}

/// Writes the sizes of a branch.
pub(super) fn write(root: &Path, branch: &str, sizes: &[MicroBatchFrom]) -> Result<()> {
    write_json(&file(root, branch), &sizes)
}

/// The sizes in words: `128 images at once from step 0, 64 from step 12`.
pub(super) fn words(sizes: &[MicroBatchFrom]) -> String {
    let words: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(i, size)| {
            let of_what = if i == 0 { " images at once" } else { "" };
            format!("{}{of_what} from step {}", size.images, size.step)
        })
        .collect();
    words.join(", ")
}
