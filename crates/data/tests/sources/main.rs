//! The sources. Order and labels are torchvision's, and damaged data give errors that name the
//! file.

mod as_people_have_them;
mod data_set;
mod folders;
mod lists;
mod memory;
mod prepared;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use e2mc_data::source::{ImageFolder, ImageSource, ScanOptions};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(name)
}

/// Writes a file, and the folders it lies in.
fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(reference("decode").join(name)).unwrap()
}

/// Two classes with a JPEG and a PNG, and one with a truncated file.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "cat/1.jpg", &golden("baseline_420.jpg"));
    write(dir.path(), "cat/2.png", &golden("rgb_8.png"));
    write(dir.path(), "dog/1.jpg", &golden("grey.jpg"));
    write(dir.path(), "dog/bad.jpg", &golden("bad_truncated.jpg"));
    dir
}

fn open(root: &Path) -> ImageFolder {
    ImageFolder::open(root, &ScanOptions::new()).unwrap()
}

fn paths(folder: &ImageFolder) -> Vec<String> {
    (0..folder.len())
        .map(|index| folder.path(index).into())
        .collect()
}

/// Moves each folder's modification time back by a minute, so that it counts as settled.
fn settle(root: &Path) {
    let past = SystemTime::now() - Duration::from_secs(60);
    fs::File::open(root).unwrap().set_modified(past).unwrap();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            settle(&entry.path());
        }
    }
}
