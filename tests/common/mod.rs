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

/// Writes a SwAV checkpoint for RGB images, with random weights, and a study of the photographs in `data` with it.
#[allow(dead_code, reason = "not every test file runs a study of its own")]
pub fn photo_config(folder: &Path, data: &Path) -> StudyConfig {
    use e2mc::data::augment::{CenterCrop, Interpolation, RandomResizedCrop};
    use e2mc::data::{Crop, Recipe};
    use e2mc::methods::BaseMethod;
    use e2mc::methods::swav::SwavConfig;
    use e2mc::resnet::{BlockKind, ResNetConfig};

    let device = e2mc::parse_device("flex").unwrap();
    device.seed(0);
    let backbone = ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1]).with_width(4);
    let swav = SwavConfig::new(backbone, vec![16, 8], 12)
        .init(&device)
        .unwrap();
    let checkpoint = folder.join("swav.safetensors");
    swav.save(&checkpoint).unwrap();

    let mut config = StudyConfig::swav_for(checkpoint, Some(data)).unwrap();
    assert_eq!(config.recipe, Recipe::swav());
    // The paper's, but for what would take minutes.
    config = config.with_batch_size(32);
    config.micro_batch = Some(16);
    config.epochs = 2;
    config.label_draws = 2;
    config.probe.epochs = 2;
    for (view, size) in config.recipe.views.iter_mut().zip([40, 24]) {
        let Crop::RandomResized(crop) = view.crop else {
            unreachable!("SwAV crops at random");
        };
        view.crop = Crop::RandomResized(RandomResizedCrop { size, ..crop });
    }
    config.evaluation.views[0].crop = Crop::Center(CenterCrop {
        resize: 44,
        size: 40,
        interpolation: Interpolation::Bilinear,
    });
    config
}

/// `count` photographs in the folder of a class, each with its own name.
#[allow(dead_code, reason = "not every test file has photographs")]
pub fn write_photos(folder: &Path, count: usize, kinds: &[&str]) {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/decode");
    std::fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let kind = kinds[i % kinds.len()];
        let to = folder.join(format!("{i:03}-{kind}"));
        std::fs::copy(reference.join(kind), to).unwrap();
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
