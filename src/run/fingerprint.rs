use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use e2mc_data::source::Fingerprint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plan::Labels;
use crate::{Error, Result};

/// The inputs of a run. It can only be resumed with the same inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunFingerprint {
    /// Version of this program.
    pub e2mc: String,
    /// SHA-256 of the checkpoint; none for training from scratch.
    pub checkpoint: Option<String>,
    /// SHA-256 of each list of labeled images.
    #[serde(default)]
    pub lists: BTreeMap<PathBuf, String>,
    /// The training images.
    pub train: Fingerprint,
    /// The test images, if any.
    pub test: Option<Fingerprint>,
}

impl RunFingerprint {
    /// The differences from the fingerprint in a run folder, in words.
    pub(super) fn differences(&self, kept: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.e2mc != kept.e2mc {
            found.push(format!(
                "it was started with version {} of e2mc, this is {}",
                kept.e2mc, self.e2mc
            ));
        }
        if self.checkpoint != kept.checkpoint {
            found.push("the checkpoint's content has changed".into());
        }
        for (list, digest) in &self.lists {
            if kept.lists.get(list) != Some(digest) {
                let list = list.display();
                found.push(format!("the content of the list {list} has changed"));
            }
        }
        let change = kept.train.change(&self.train);
        found.extend(change.map(|change| format!("the training data: {change}")));
        let change = match (&self.test, &kept.test) {
            (Some(now), Some(before)) => before.change(now),
            (now, before) if now == before => None,
            (None, _) => Some("there was a test part, now there is none".into()),
            (_, None) => Some("there was no test part, now there is one".into()),
        };
        found.extend(change.map(|change| format!("the test data: {change}")));
        found
    }
}

/// SHA-256 of each list of images among the labels.
pub(crate) fn list_digests<'a>(
    labels: impl Iterator<Item = &'a Labels>,
) -> Result<BTreeMap<PathBuf, String>> {
    let lists = labels.filter_map(|labels| match labels {
        Labels::List(file) => Some(file),
        Labels::Amount(_) => None,
    });
    lists
        .map(|file| Ok((file.clone(), file_digest(file)?)))
        .collect()
}

/// SHA-256 of a file, in hexadecimal digits.
pub(crate) fn file_digest(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(Error::read(path))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match reader.read(&mut buffer).map_err(Error::read(path))? {
            0 => return Ok(format!("{:x}", hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}
