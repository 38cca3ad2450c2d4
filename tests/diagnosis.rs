//! The command `diagnose`.

mod common;

use std::process::Output;

use common::{Bench, CHECKPOINT, assert_rejected, program, text};

impl Bench {
    fn diagnose(&self, arguments: &[&str]) -> Output {
        let mut program = program();
        program.arg("diagnose").args(arguments);
        program.arg("--data").arg(self.path("images"));
        program.current_dir(self.folder.path()).output().unwrap()
    }
}

#[test]
fn embeddings_are_measured_and_the_change_is_said() {
    let bench = Bench::new();
    let checkpoint = ["--checkpoint", CHECKPOINT, "--stem-stride", "2"];
    let json = bench.diagnose(&[&checkpoint[..], &["--json", "--output", "out"]].concat());
    assert!(json.status.success(), "{}", text(&json.stderr));
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["method"], "SwAV");
    let of = |name: &str| found["embeddings"][name].as_f64().unwrap();
    assert_eq!(
        [of("images"), of("block_images"), of("dimensions")],
        [30.0, 30.0, 64.0]
    );
    assert!(of("entropy") < 0.0 && of("covariance") > 0.0);
    assert!(of("distance_1d") > 0.0 && of("distance_2d") > 0.0);
    // Too few images for blocks.
    assert!(found["embeddings"]["standard_error"].is_null());
    let uniform = found["uniform"]["covariance"].as_f64().unwrap();
    assert!(uniform < of("covariance"), "{uniform}");
    let written = std::fs::read(bench.path("out/results.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written, found);

    let table = bench.diagnose(&checkpoint);
    let table = text(&table.stdout);
    for part in [
        "marginal entropy",
        "rank of Z",
        "uniform",
        "E2MC would",
        "In our runs with SwAV",
    ] {
        assert!(table.contains(part), "no {part:?} in: {table}");
    }
}

#[test]
fn a_backbone_without_a_projector_is_rejected() {
    let bench = Bench::new();
    let file = bench.path("backbone.safetensors");
    let device = e2mc::parse_device("flex").unwrap();
    let config = e2mc::resnet::ResNetConfig::new(e2mc::resnet::BlockKind::Basic, [1, 1, 1, 1]);
    let backbone = config.with_width(4).init(&device);
    e2mc::resnet::save_backbone(&backbone, file.clone()).unwrap();
    let result = bench.diagnose(&["--checkpoint", file.to_str().unwrap()]);
    assert_rejected(
        &result,
        &bench.path("out"),
        &["backbone.safetensors", "a whole method"],
    );
}
