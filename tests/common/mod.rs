//! A study small enough for a test: the real checkpoint, few pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use e2mc::plan::{CheckpointStart, MicroBatch};
use e2mc::{Error, Plan, Preset, RunOptions, Silent, StudyResults};

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

/// Writes a SwAV checkpoint for RGB images, with random weights, and a plan for the photographs in
/// `data` with it.
#[allow(dead_code, reason = "not every test file runs a study of its own")]
pub fn photo_plan(folder: &Path, data: &Path) -> Plan {
    use e2mc::data::augment::{CenterCrop, Interpolation};
    use e2mc::data::{Crop, Recipe};
    use e2mc::methods::BaseMethod;
    use e2mc::methods::swav::SwavConfig;
    use e2mc::resnet::{BlockKind, ResNetConfig};

    let device = e2mc::parse_device("flex").unwrap();
    let backbone = ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1]).with_width(4);
    let config = SwavConfig::new(backbone, vec![16, 8], 12);
    // Tests of one file share a process, and so the generator.
    let init = || Ok::<_, Error>(config.init(&device));
    let swav = e2mc::seeded(&device, 0, init).unwrap();
    let checkpoint = folder.join("swav.safetensors");
    swav.save(&checkpoint).unwrap();

    let start = CheckpointStart::new(checkpoint);
    let preset = e2mc::preset_for(&start).unwrap();
    assert_eq!(preset, Preset::Swav800);
    let mut plan = preset.continuation(start);
    assert_eq!(plan.recipe, Recipe::swav());
    // The paper's plan, except for settings that would take minutes.
    plan.data = Some(data.to_path_buf());
    plan.recipe = plan.recipe.with_size(40);
    plan.batch_size = 32;
    plan.micro_batch = Some(MicroBatch::Images(16));
    plan.epochs = 2;
    for probe in &mut plan.probes {
        probe.draws = probe.draws.min(2);
        probe.settings.epochs = 2;
    }
    plan.evaluation.views[0].crop = Crop::Center(CenterCrop {
        resize: 44,
        size: 40,
        interpolation: Interpolation::Bilinear,
    });
    plan
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

/// A plan for the small images with the checkpoint that comes with e2mc.
#[allow(dead_code, reason = "not every test file runs a study of its own")]
pub fn small_plan(data: &Path) -> Plan {
    let start = CheckpointStart::new(CHECKPOINT);
    short(Preset::SwavSmall.continuation(start), data)
}

/// The plan, made short enough for a test.
#[allow(dead_code, reason = "not every test file runs a study of its own")]
pub fn short(mut plan: Plan, data: &Path) -> Plan {
    plan.data = Some(data.to_path_buf());
    plan.epochs = 3;
    plan.batch_size = 16;
    for probe in &mut plan.probes {
        probe.draws = probe.draws.min(2);
        probe.settings.epochs = 5;
    }
    plan
}

/// Runs the study of a plan with a silent observer.
#[allow(dead_code, reason = "not every test file runs a study of its own")]
pub fn run(plan: &Plan, output: &Path) -> Result<StudyResults, Error> {
    e2mc::run(
        plan.clone(),
        RunOptions::default(),
        output,
        Arc::new(Silent),
    )
}

/// The built command.
#[allow(dead_code, reason = "not every test file runs the program")]
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_e2mc"))
}

/// Every file below a folder by its path, without the time measurements in the metrics.
#[allow(dead_code, reason = "not every test file compares runs")]
pub fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mut bytes = std::fs::read(&path).unwrap();
            if name.starts_with("metrics-") {
                bytes = without_times(&String::from_utf8(bytes).unwrap()).into_bytes();
            }
            found.insert(name, bytes);
        }
    }
    found
}

fn without_times(metrics: &str) -> String {
    let lines = metrics.lines().map(|line| {
        let mut step: serde_json::Value = serde_json::from_str(line).unwrap();
        for timed in ["images_per_second", "wait"] {
            step.as_object_mut().unwrap().remove(timed).unwrap();
        }
        step.to_string() + "\n"
    });
    lines.collect()
}

/// Asserts that two run folders have the same files with the same bytes, except times.
#[allow(dead_code, reason = "not every test file compares runs")]
pub fn assert_same_run(expected: &Path, found: &Path) {
    let (expected, found) = (files(expected), files(found));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&expected), names(&found));
    for (name, bytes) in expected {
        assert!(found[&name] == bytes, "{name} differs");
    }
}

#[allow(dead_code, reason = "not every test file runs the program")]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts that the program rejected its input: a one-line message with all of `parts`, no panic,
/// no folder.
#[allow(dead_code, reason = "not every test file runs the program")]
pub fn assert_rejected(result: &Output, folder: &Path, parts: &[&str]) {
    let message = text(&result.stderr);
    assert!(!result.status.success(), "exit code 0: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(!folder.exists(), "{} was created", folder.display());
}

/// A folder for one test, with [`write_images`]'s in `images`.
#[allow(dead_code, reason = "not every test file runs the program")]
pub struct Bench {
    pub folder: tempfile::TempDir,
}

#[allow(dead_code, reason = "not every test file runs the program")]
impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_images(&folder.path().join("images"));
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
