use std::collections::BTreeMap;
use std::sync::Mutex;

use e2mc_data::FailedRead;

/// The unreadable images of a run, each once.
#[derive(Debug, Default)]
pub(crate) struct FailedReads {
    by_source: Mutex<BTreeMap<(String, String), FailedRead>>,
}

impl FailedReads {
    /// Adds images of the named source. Returns the new ones.
    pub(crate) fn add(&self, source: &str, failures: &[FailedRead]) -> Vec<FailedRead> {
        let mut known = self.by_source.lock().expect("no thread panics here");
        let mut new = Vec::new();
        for failure in failures {
            let key = (source.to_string(), failure.name.clone());
            if known.insert(key, failure.clone()).is_none() {
                new.push(failure.clone());
            }
        }
        new
    }

    /// All of them, ordered by source and name.
    pub(crate) fn all(&self) -> Vec<FailedRead> {
        let known = self.by_source.lock().expect("no thread panics here");
        known.values().cloned().collect()
    }
}

/// "3 images could not be read".
pub(crate) fn could_not_be_read(images: usize) -> String {
    match images {
        1 => "1 image could not be read".into(),
        _ => format!("{images} images could not be read"),
    }
}
