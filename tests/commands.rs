//! The commands beside `continue` and `pretrain`.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use common::{CHECKPOINT, photo_plan, program, run, small_plan, text, write_images, write_photos};
use e2mc::eval::StoredFeatures;
use safetensors::SafeTensors;

fn e2mc(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// The output of a command that must succeed.
fn printed(arguments: &[&str]) -> String {
    let result = e2mc(arguments);
    assert!(result.status.success(), "{}", text(&result.stderr));
    text(&result.stdout)
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&printed(arguments)).unwrap()
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder of small images, and a finished run on them.
fn finished_run() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let output = folder.path().join("run");
    let mut plan = small_plan(&images);
    plan.epochs = 1;
    run(&plan, &output).unwrap();
    (folder, images, output)
}

#[test]
fn compare_tells_two_backbones_apart_and_one_from_itself_not() {
    let (folder, images, output) = finished_run();
    let after = output.join("backbone-e2mc.safetensors");
    let results = folder.path().join("compared");
    let compare = |after: &str| {
        json(&[
            "compare",
            "--before",
            CHECKPOINT,
            "--after",
            after,
            "--data",
            str(&images),
            "--labels",
            "10%,100%",
            "--label-draws",
            "2",
            "--output",
            str(&results),
            "--json",
        ])
    };
    let itself = compare(CHECKPOINT);
    for comparison in itself["comparisons"].as_array().unwrap() {
        assert_eq!(comparison["difference"]["mean"], 0.0, "{comparison}");
    }
    let trained = compare(str(&after));
    assert_eq!(trained["comparisons"].as_array().unwrap().len(), 2);
    assert_eq!(trained["backbones"][0][1][0]["labels"], "10%");
    assert_eq!(trained["backbones"][0], itself["backbones"][0]);
    for name in [
        "predictions-before.csv",
        "predictions-after.csv",
        "results.json",
    ] {
        assert!(results.join(name).exists(), "{name}");
    }
    let csv = std::fs::read_to_string(results.join("predictions-after.csv")).unwrap();
    assert!(
        csv.starts_with("image,label,10% draw 0,10% draw 1,100% draw 0\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 1 + 30);
}

#[test]
fn probe_prints_what_the_study_found_for_the_base() {
    let (_folder, images, output) = finished_run();
    let measured = std::fs::read_to_string(output.join("measured-base.json")).unwrap();
    let measured: serde_json::Value = serde_json::from_str(&measured).unwrap();
    let probed = json(&[
        "probe",
        "--checkpoint",
        CHECKPOINT,
        "--data",
        str(&images),
        "--label-draws",
        "2",
        "--json",
    ]);
    // The test's study has fewer epochs for its probes. The draws and the rest are the same.
    let labels = |value: &serde_json::Value| {
        let probes = value.as_array().unwrap().iter();
        probes
            .map(|probe| probe["labels"].clone())
            .collect::<Vec<_>>()
    };
    let (study, command) = (&measured["results"]["probes"], &probed["backbones"][0][1]);
    assert_eq!(labels(study), labels(command));
    let table = printed(
        &["probe", "--checkpoint", CHECKPOINT, "--data"]
            .iter()
            .copied()
            .chain([str(&images)])
            .collect::<Vec<_>>(),
    );
    assert!(
        table.contains("labels") && table.contains("100%"),
        "{table}"
    );
}

#[test]
fn extract_leaves_out_what_cannot_be_read_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("photos");
    write_photos(&images.join("cat"), 3, &["grey.jpg"]);
    write_photos(&images.join("dog"), 3, &["baseline_420.jpg"]);
    std::fs::write(images.join("cat/bad.jpg"), b"no JPEG").unwrap();
    photo_plan(folder.path(), &images); // writes the checkpoint
    let checkpoint = folder.path().join("swav.safetensors");
    let features = folder.path().join("features.safetensors");
    let extract = |limit: &str| {
        let mut command = program();
        command.arg("extract").arg("--checkpoint").arg(&checkpoint);
        command
            .arg("--data")
            .arg(&images)
            .arg("--output")
            .arg(&features);
        command.args(["--failure-limit", limit]).output().unwrap()
    };
    let rejected = extract("0.01");
    let message = text(&rejected.stderr);
    assert!(
        !rejected.status.success() && !features.exists(),
        "{message}"
    );
    assert!(
        message.contains("--failure-limit") && message.contains("cat/bad.jpg"),
        "{message}"
    );

    let result = extract("0.2");
    let message = text(&result.stderr);
    assert!(
        result.status.success() && message.contains("cat/bad.jpg"),
        "{message}"
    );
    let stored = StoredFeatures::read(&features).unwrap();
    assert_eq!(stored.features.labels(), [0, 0, 0, 1, 1, 1]);
    assert_eq!(stored.names.len(), 6);
    assert!(
        !stored.names.iter().any(|name| name.contains("bad.jpg")),
        "{:?}",
        stored.names
    );
}

#[test]
fn inspect_says_the_same_as_json_and_as_tables() {
    let found = json(&["inspect", "--json", CHECKPOINT]);
    assert_eq!(found["method"], "SwAV");
    assert_eq!(found["features"], 128);
    let tables = printed(&["inspect", CHECKPOINT]);
    for part in ["SwAV", "128 features", "projection_head", "layer4.0"] {
        assert!(tables.contains(part), "no {part} in {tables}");
    }
}

#[test]
fn the_report_of_an_unfinished_run_says_so() {
    let (_folder, _images, output) = finished_run();
    std::fs::remove_file(output.join("results.json")).unwrap();
    printed(&["report", str(&output)]);
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("not finished"));
    let rejected = e2mc(&["report", str(output.parent().unwrap())]);
    assert!(text(&rejected.stderr).contains("plan.json is missing"));
}

#[test]
fn exports_say_their_stride() {
    let (_folder, _images, output) = finished_run();
    let bytes = std::fs::read(output.join("backbone-e2mc.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let stem = &header.metadata().as_ref().unwrap()["stem"];
    assert!(stem.contains("\"stride\":2"), "{stem}");
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    for arguments in [&["continue", "--dry-run"][..], &["inspect", CHECKPOINT]] {
        let mut command = program();
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let result = child.wait_with_output().unwrap();
        let message = text(&result.stderr);
        assert!(result.status.success() && message.is_empty(), "{message}");
    }
}
