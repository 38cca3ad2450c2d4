//! Persistence of a run: its folder and lock, training states, metrics and fingerprints. Also the
//! events for an observer.

mod devices_file;
mod difference;
mod failed_reads;
mod fingerprint;
mod folder;
mod metrics_file;
mod observer;
mod save;
mod state;

pub(crate) use devices_file::moves_in_words;
pub(crate) use difference::differences;
pub(crate) use failed_reads::{FailedReads, could_not_be_read};
pub(crate) use fingerprint::{RunFingerprint, file_digest, list_digests};
pub use folder::free_run_folder;
pub(crate) use folder::{RunFolder, holds_files, lock};
pub(crate) use metrics_file::MetricsFile;
pub use observer::{Event, Observer, Silent};
pub use save::SavePlan;
pub use state::TrainingState;
