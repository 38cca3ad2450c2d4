use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// File endings of images, in either case, as in torchvision. Files of the last five formats are
/// listed, but rejected when read.
pub const EXTENSIONS: [&str; 9] = [
    ".jpg", ".jpeg", ".png", ".webp", ".ppm", ".bmp", ".pgm", ".tif", ".tiff",
];

/// Endings of images that torchvision does not recognize either, with their kind.
const OTHER_IMAGES: [(&str, &str); 10] = [
    (".gif", "GIF images"),
    (".heic", "HEIC images"),
    (".heif", "HEIC images"),
    (".avif", "AVIF images"),
    (".jp2", "JPEG 2000 images"),
    (".j2k", "JPEG 2000 images"),
    (".jxl", "JPEG XL images"),
    (".ico", "ICO images"),
    (".jfif", "JFIF images (name them .jpg)"),
    (".jpe", "JPE images (name them .jpg)"),
];

/// Names of files that tools leave behind, in either case.
const LEFTOVERS: [&str; 10] = [
    "__MACOSX",
    ".ipynb_checkpoints",
    "@eaDir",
    "Thumbs.db",
    ".DS_Store",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    "__pycache__",
    "lost+found",
];

/// How many files were left out, by their kind.
pub type LeftOut = BTreeMap<String, usize>;

/// The kind of a file according to its name.
pub(super) enum FileKind {
    Image,
    LeftOut(&'static str),
}

impl FileKind {
    pub(super) fn of(name: &str) -> Self {
        if let Some(kind) = leftover(name) {
            Self::LeftOut(kind)
        } else if is_image(name) {
            Self::Image
        } else {
            let other = OTHER_IMAGES.iter().find(|(ending, _)| ends(name, ending));
            Self::LeftOut(other.map_or("other files", |(_, kind)| kind))
        }
    }
}

/// The kind of a file or folder that a tool left behind, or that is hidden; `None` for all others.
pub(super) fn leftover(name: &str) -> Option<&'static str> {
    if name.starts_with("._") {
        return Some("._*");
    }
    let known = LEFTOVERS.into_iter();
    known
        .filter(|leftover| leftover.eq_ignore_ascii_case(name))
        .chain(hidden(name).then_some("hidden files"))
        .next()
}

/// torchvision treats a name that is only an ending as an image.
fn hidden(name: &str) -> bool {
    let only_ending = |ending: &&str| ending.eq_ignore_ascii_case(name);
    name.starts_with('.') && !EXTENSIONS.iter().any(only_ending)
}

pub(super) fn is_image(name: &str) -> bool {
    EXTENSIONS.iter().any(|ending| ends(name, ending))
}

fn ends(name: &str, ending: &str) -> bool {
    name.len()
        .checked_sub(ending.len())
        .and_then(|start| name.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

/// Counts `files` more of `kind`.
pub(super) fn count(left_out: &mut LeftOut, kind: &str, files: usize) {
    if files > 0 {
        *left_out.entry(kind.into()).or_default() += files;
    }
}

/// Adds the counts of `more`.
pub(super) fn merge(left_out: &mut LeftOut, more: &LeftOut) {
    for (kind, files) in more {
        count(left_out, kind, *files);
    }
}

/// The number of files in a left-out folder and the folders beneath it. Links are not followed.
pub(super) fn files_beneath(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_beneath(&entry.path()),
            _ => 1,
        })
        .sum()
}
