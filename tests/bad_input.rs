//! User errors. Each gives a one-line message that names the file or option, a nonzero exit code,
//! and no run folder.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Bench, CHECKPOINT, assert_rejected, program};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

impl Bench {
    fn output(&self) -> PathBuf {
        self.path("run")
    }

    /// Runs the program on the small images, with further arguments.
    fn run(&self, arguments: &[&str]) -> Output {
        program()
            .arg("continue")
            .arg("--data")
            .arg(self.path("images"))
            .args(["--epochs", "1", "--batch-size", "16"])
            .arg("--output")
            .arg(self.output())
            .args(arguments)
            .output()
            .unwrap()
    }

    fn run_with_checkpoint(&self, checkpoint: &Path) -> Output {
        self.run(&["--checkpoint", checkpoint.to_str().unwrap()])
    }

    /// The checkpoint as safetensors, with tensors changed or (`None`) left out.
    fn altered_checkpoint(
        &self,
        alter: impl Fn(&str, Vec<usize>) -> Option<Vec<usize>>,
    ) -> PathBuf {
        use e2mc::methods::BaseMethod;
        use e2mc::methods::swav::{Swav, SwavConfig};
        use e2mc::resnet::Checkpoint;

        let checkpoint = Checkpoint::open(CHECKPOINT).unwrap();
        let config = SwavConfig::from_checkpoint(&checkpoint).unwrap();
        let device = e2mc::parse_device("flex").unwrap();
        let whole = self.path("whole.safetensors");
        let swav = Swav::from_checkpoint(&checkpoint, &config, &device).unwrap();
        swav.save(&whole).unwrap();

        let bytes = std::fs::read(&whole).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let altered = tensors.iter().filter_map(|(name, view)| {
            let shape = alter(name, view.shape().to_vec())?;
            let size = shape.iter().product::<usize>() * 4;
            let view = TensorView::new(view.dtype(), shape, &view.data()[..size]).unwrap();
            Some((name.to_string(), view))
        });
        let path = self.path("altered.safetensors");
        std::fs::write(&path, safetensors::serialize(altered, None).unwrap()).unwrap();
        path
    }
}

#[test]
fn missing_checkpoint() {
    let bench = Bench::new();
    let result = bench.run_with_checkpoint(&bench.path("nowhere.pth"));
    assert_rejected(&result, &bench.output(), &["nowhere.pth", "check the path"]);
}

#[test]
fn checkpoint_without_a_tensor() {
    let bench = Bench::new();
    let path =
        bench.altered_checkpoint(|name, shape| (name != "layer3.0.conv2.weight").then_some(shape));
    let result = bench.run_with_checkpoint(&path);
    assert_rejected(
        &result,
        &bench.output(),
        &["altered.safetensors", "layer3.0.conv2.weight"],
    );
}

#[test]
fn checkpoint_without_prototypes() {
    let bench = Bench::new();
    let path =
        bench.altered_checkpoint(|name, shape| (!name.starts_with("prototypes")).then_some(shape));
    let result = bench.run_with_checkpoint(&path);
    assert_rejected(
        &result,
        &bench.output(),
        &["altered.safetensors", "prototypes.weight"],
    );
}

#[test]
fn checkpoint_with_a_misshapen_tensor() {
    let bench = Bench::new();
    let path = bench.altered_checkpoint(|name, mut shape| {
        if name == "layer2.0.conv2.weight" {
            shape[0] -= 1;
        }
        Some(shape)
    });
    let result = bench.run_with_checkpoint(&path);
    let parts = [
        "altered.safetensors",
        "layer2.0.conv2.weight",
        "[31, 32, 3, 3]",
        "[32, 32, 3, 3]",
    ];
    assert_rejected(&result, &bench.output(), &parts);
}

#[test]
fn truncated_checkpoint() {
    let bench = Bench::new();
    let whole = std::fs::read(CHECKPOINT).unwrap();
    for share in [10, 50, 99] {
        let path = bench.path("cut.pth.tar");
        std::fs::write(&path, &whole[..whole.len() * share / 100]).unwrap();
        let result = bench.run_with_checkpoint(&path);
        assert_rejected(&result, &bench.output(), &["cut.pth.tar", "again"]);
    }
}

#[test]
fn file_that_is_no_checkpoint() {
    let bench = Bench::new();
    let path = bench.path("notes.pth");
    std::fs::write(&path, "remember the milk\n").unwrap();
    let result = bench.run_with_checkpoint(&path);
    assert_rejected(
        &result,
        &bench.output(),
        &["notes.pth", "is not a checkpoint"],
    );
}

#[test]
fn empty_data_folder() {
    let bench = Bench::new();
    let empty = bench.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let result = program()
        .args(["continue", "--data", empty.to_str().unwrap(), "--output"])
        .arg(bench.output())
        .output()
        .unwrap();
    assert_rejected(&result, &bench.output(), &["empty", "IDX files"]);
}

#[test]
fn folder_that_is_not_there_or_has_no_image() {
    let bench = Bench::new();
    let notes = bench.path("notes");
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(notes.join("a.txt"), "").unwrap();
    for (folder, part) in [("nowhere", "does not exist"), ("notes", "holds no image")] {
        let result = program()
            .args([
                "continue",
                "--data",
                bench.path(folder).to_str().unwrap(),
                "--output",
            ])
            .arg(bench.output())
            .current_dir(bench.folder.path())
            .output()
            .unwrap();
        assert_rejected(&result, &bench.output(), &[folder, part]);
    }
}

#[test]
fn colour_photographs_for_a_backbone_of_grey_images() {
    let bench = Bench::new();
    common::write_photos(&bench.path("photos"), 600, &["size_8x8_420.jpg"]);
    let result = program()
        .args([
            "continue",
            "--data",
            bench.path("photos").to_str().unwrap(),
            "--output",
        ])
        .arg(bench.output())
        .current_dir(bench.folder.path())
        .output()
        .unwrap();
    let parts = ["--checkpoint", "1-channel images", "3-channel images"];
    assert_rejected(&result, &bench.output(), &parts);
}

#[test]
fn batch_larger_than_the_data() {
    let bench = Bench::new();
    let result = program()
        .args(["continue", "--data"])
        .arg(bench.path("images"))
        .args(["--batch-size", "61", "--output"])
        .arg(bench.output())
        .output()
        .unwrap();
    assert_rejected(&result, &bench.output(), &["batch size 61", "60 images"]);
}

#[test]
fn options_outside_their_range() {
    let bench = Bench::new();
    for (option, value) in [
        ("--entropy-weight", "-1"),
        ("--entropy-weight", "NaN"),
        ("--covariance-weight", "-0.5"),
        ("--covariance-weight", "nan"),
        ("--covariance-weight", "inf"),
        ("--learning-rate", "0"),
        ("--learning-rate", "NaN"),
        ("--label-draws", "0"),
        ("--device", "abacus"),
        ("--device", "flex:1"),
        ("--device", "flex,flex"),
        ("--device", "flex,abacus:0"),
        ("--device", "remote:ws://127.0.0.1:1"),
        ("--device", "flex,remote:nowhere"),
        ("--failure-limit", "1.5"),
        ("--failure-limit", "NaN"),
        ("--micro-batch", "1"),
        ("--micro-batch", "5"),       // leaves one of 16
        ("--device-memory", "24GiB"), // without --micro-batch auto
    ] {
        let result = bench.run(&[option, value]);
        assert_rejected(&result, &bench.output(), &[option, "expected"]);
    }
}

#[test]
fn no_micro_batch_for_the_devices_memory() {
    let bench = Bench::new();
    let result = bench.run(&["--micro-batch", "auto", "--device-memory", "1MB"]);
    let parts = ["--micro-batch is auto", "do not fit in 0.0 GB"];
    assert_rejected(&result, &bench.output(), &parts);
}

#[test]
fn no_epochs_and_no_batch() {
    let bench = Bench::new();
    for (option, value) in [("--epochs", "0"), ("--batch-size", "1")] {
        let result = program()
            .args(["continue", option, value, "--output"])
            .arg(bench.output())
            .output()
            .unwrap();
        assert_rejected(&result, &bench.output(), &[option, "expected at least"]);
    }
}

#[test]
fn folder_that_holds_something_else() {
    let bench = Bench::new();
    let output = bench.output();
    std::fs::create_dir(&output).unwrap();
    std::fs::write(output.join("thesis.tex"), "").unwrap();
    let result = bench.run(&[]);
    assert!(!result.status.success());
    let message = common::text(&result.stderr);
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(message.contains("contains no run"), "{message}");
    assert_eq!(std::fs::read_dir(&output).unwrap().count(), 1);
}
