//! Errors of checkpoints. Each message is one line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Tensor names listed in a message before it says "and N more".
const MAX_LISTED: usize = 4;

/// A result whose error is [`CheckpointError`], unless another one is named.
pub type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// Why a checkpoint could not be read, loaded or written. Every message is one line and names the
/// file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file does not exist or cannot be read.
    #[error("cannot read checkpoint {}: {cause}; check the path and its \
     permissions", .path.display())]
    Read {
        /// The checkpoint.
        path: PathBuf,
        /// The operating system's reason.
        cause: io::Error,
    },
    /// The file is not a checkpoint.
    #[error("{} is not a checkpoint ({reason}); expected a file written by torch.save, or \
     .safetensors", .path.display())]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file begins like a checkpoint, but is truncated or inconsistent.
    #[error("checkpoint {} is truncated or damaged ({reason}); copy or download it \
     again", .path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// Where it ends early or is inconsistent.
        reason: String,
    },
    /// The file is intact, but its kind is not supported.
    #[error("{} is {what}, which is not supported: {way_out}", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do instead.
        way_out: String,
    },
    /// The kind of a needed tensor is not supported.
    #[error(
        "checkpoint {}: tensor {name} is {kind}, which is not supported; save it as a dense \
         floating-point tensor",
        .path.display()
    )]
    UnsupportedTensor {
        /// The checkpoint.
        path: PathBuf,
        /// Full name of the tensor.
        name: String,
        /// What it is: sparse, quantized, complex, of some other element type.
        kind: String,
    },
    /// The network has no place for tensors within its blocks: the file is of a related
    /// architecture.
    #[error(
        "checkpoint {}: the network has no place for {}, so its features would differ from those \
         of the network that \
         was saved; use a checkpoint of this architecture, or set allow_unused to leave them out",
        .path.display(), list(.names)
    )]
    Unused {
        /// The checkpoint.
        path: PathBuf,
        /// Names of the tensors.
        names: Vec<String>,
    },
    /// There are no tensors under the requested prefix.
    #[error(
        "checkpoint {} has no tensors under the prefix {prefix:?}; its names begin with {}",
        .path.display(), list(.available)
    )]
    NoSuchPrefix {
        /// The checkpoint.
        path: PathBuf,
        /// What was asked for.
        prefix: String,
        /// First parts of the names in the file.
        available: Vec<String>,
    },
    /// Tensors that the module needs are not in the file.
    #[error(
        "checkpoint {} lacks {}, which the model needs; it has the layout \"{layout}\" and \
         {available} tensors: check \
         that it holds this architecture",
        .path.display(), list(.names)
    )]
    MissingTensors {
        /// The checkpoint.
        path: PathBuf,
        /// The recognized layout.
        layout: String,
        /// Full names of the missing tensors.
        names: Vec<String>,
        /// Number of tensors in the file.
        available: usize,
    },
    /// Tensors have other shapes than the module's.
    #[error(
        "checkpoint {}: wrong shape of {}; build the model with the checkpoint's architecture",
        .path.display(), list(.tensors)
    )]
    MisshapenTensors {
        /// The checkpoint.
        path: PathBuf,
        /// Each misshapen tensor.
        tensors: Vec<ShapeMismatch>,
    },
    /// A parameter is stored as integers or booleans.
    #[error(
        "checkpoint {}: tensor {name} holds {found} values, expected floating-point ones (f16, \
         bf16, f32 or f64); \
         save the model's own state_dict",
        .path.display()
    )]
    NotFloat {
        /// The checkpoint.
        path: PathBuf,
        /// Full name of the tensor.
        name: String,
        /// The element type found.
        found: String,
    },
    /// No ResNet was found in the file.
    #[error(
        "checkpoint {} holds no ResNet that this crate knows ({reason}); expected torchvision's \
         tensor names, such as \
         conv1.weight and layer1.0.conv1.weight, in the shapes of ResNet-18 to 152 at any width",
        .path.display()
    )]
    NoResNet {
        /// The checkpoint.
        path: PathBuf,
        /// What is missing or different.
        reason: String,
    },
    /// The file does not have the requested layout.
    #[error(
        "checkpoint {} does not have the layout {named}; its names show: \
         {recognized}", .path.display()
    )]
    WrongLayout {
        /// The checkpoint.
        path: PathBuf,
        /// What was asked for.
        named: String,
        /// What was recognized.
        recognized: String,
    },
    /// The optimizer's state does not belong to the model's parameters.
    #[error(
        "checkpoint {}: the optimizer's state does not fit the model ({reason}); start with a \
         fresh optimizer instead",
        .path.display()
    )]
    Optimizer {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The file could not be written.
    #[error("cannot write {}: {reason}; check that its folder exists and has \
     space", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
}

/// A tensor whose shape is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Full name of the tensor.
    pub name: String,
    /// The shape the model has.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (expected {:?}, found {:?})",
            self.name, self.expected, self.found
        )
    }
}

impl CheckpointError {
    /// A [`CheckpointError::Damaged`] with the reader's reason.
    pub(crate) fn damaged(path: &Path, reason: impl fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            reason: one_line(reason),
        }
    }
}

/// Why a file's content is rejected.
pub(super) enum Rejection {
    Damaged(String),
    NotACheckpoint(String),
    Unsupported { what: String, way_out: String },
}

impl From<String> for Rejection {
    fn from(reason: String) -> Self {
        Rejection::Damaged(reason)
    }
}

/// Turns any message into one line of bounded length. Readers quote parts of the file, which may be
/// anything.
pub(crate) fn one_line(message: impl fmt::Display) -> String {
    const MAX_CHARS: usize = 240;
    let text = message.to_string();
    let mut line = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(char::is_control, "?");
    if let Some((end, _)) = line.char_indices().nth(MAX_CHARS) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

/// The first few items, comma-separated, and how many more there are.
fn list<T: fmt::Display>(items: &[T]) -> String {
    let mut text = items
        .iter()
        .take(MAX_LISTED)
        .map(one_line)
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", items.len() - MAX_LISTED));
    }
    text
}
