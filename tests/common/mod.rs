//! A study small enough for a test: the real checkpoint, few pictures.

use std::path::Path;
use std::process::{Command, Output};

use e2mc::StudyConfig;

pub const CHECKPOINT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/checkpoints/swav_fashion_mnist.pth.tar"
);

/// Training images of [`write_images`].
pub const TRAIN: usize = 60;

/// Writes a Fashion-MNIST folder of 60 + 30 real pictures.
pub fn write_images(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let sets = [
        ("train", e2mc::data::fashion_mnist::embedded_train(), TRAIN),
        ("t10k", e2mc::data::fashion_mnist::embedded_test(), 30),
    ];
    for (name, images, count) in sets {
        // An equal number of each class, in turn.
        let mut indices = Vec::new();
        for turn in 0..count / 10 {
            for class in 0..10 {
                let of_class = |&i: &usize| images.labels()[i] == class;
                indices.push((0..images.len()).filter(of_class).nth(turn).unwrap());
            }
        }
        let count = (count as u32).to_be_bytes();
        let side = 28u32.to_be_bytes();
        let mut pixels = [[0, 0, 8, 3], count, side, side].concat();
        let mut labels = [[0, 0, 8, 1], count].concat();
        for i in indices {
            pixels.extend_from_slice(images.image(i));
            labels.push(images.labels()[i] as u8);
        }
        std::fs::write(folder.join(format!("{name}-images-idx3-ubyte")), pixels).unwrap();
        std::fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }
}

#[allow(dead_code, reason = "not every test file runs a study of its own")]
pub fn small_config(data: &Path) -> StudyConfig {
    let mut config = StudyConfig::swav_small(CHECKPOINT);
    config.data = Some(data.to_path_buf());
    config.epochs = 3;
    config.batch_size = 16;
    config.label_draws = 2;
    config.probe.epochs = 5;
    config
}

/// The built example `swav_continue`; `cargo test` builds the examples beside the tests.
#[allow(dead_code, reason = "not every test file runs the program")]
pub fn program() -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join(format!(
        "examples/swav_continue{}",
        std::env::consts::EXE_SUFFIX
    ));
    assert!(
        path.exists(),
        "{} is not built: run `cargo test`, or `cargo build --examples` first",
        path.display()
    );
    Command::new(path)
}

#[allow(dead_code, reason = "not every test file runs the program")]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts that the program refused: a message of one line that has all of `parts`, no panic, no folder.
#[allow(dead_code, reason = "not every test file runs the program")]
pub fn assert_refused(result: &Output, folder: &Path, parts: &[&str]) {
    let message = text(&result.stderr);
    assert!(!result.status.success(), "exit code 0: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(!folder.exists(), "{} was created", folder.display());
}
