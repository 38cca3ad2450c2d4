//! `e2mc finetune`.

mod common;

use std::process::Output;

use common::{Bench, CHECKPOINT, assert_rejected, program, text};

impl Bench {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut program = program();
        program.args(["finetune", "--checkpoint", CHECKPOINT]);
        program.args(["--data", "images", "--epochs", "3", "--batch-size", "8"]);
        program.args(["--label-draws", "2", "--json", "--output"]);
        let program = program.arg(self.path("out")).args(arguments);
        program.current_dir(self.folder.path()).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let result = self.run(arguments);
        assert!(result.status.success(), "{}", text(&result.stderr));
        serde_json::from_slice(&result.stdout).unwrap()
    }
}

#[test]
fn labels_of_a_few_images_are_learned_and_kept() {
    let bench = Bench::new();
    let found = bench.json(&["--labels", "3/class,100%"]);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let draws = row["draws"].as_array().unwrap();
        assert_eq!(draws.len(), 2);
        assert_ne!(draws[0]["train_loss"], draws[1]["train_loss"]);
        for draw in draws {
            let loss: Vec<f64> = serde_json::from_value(draw["train_loss"].clone()).unwrap();
            assert_eq!(loss.len(), 3);
            assert!(loss[2] < loss[0], "the loss does not fall: {loss:?}");
            let top1: Vec<f64> = serde_json::from_value(draw["top1"].clone()).unwrap();
            let top5: Vec<f64> = serde_json::from_value(draw["top5"].clone()).unwrap();
            assert!(top1.iter().zip(&top5).all(|(one, five)| one <= five));
            assert_eq!(draw["tested_epochs"], serde_json::json!([1, 2, 3]));
            let best = draw["best_epoch"].as_u64().unwrap() as usize - 1;
            assert!(top1.iter().all(|&accuracy| accuracy <= top1[best]));
        }
        let std = row["top1"]["std"].as_f64().unwrap();
        let error = row["standard_error"].as_f64().unwrap();
        assert!((error - std / 2f64.sqrt()).abs() < 1e-12);
    }
    let results = std::fs::read(bench.path("out/results.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&results).unwrap();
    assert_eq!(written, found);

    // The predictions have the accuracies of the last epoch, and `compare` reads them.
    let file = bench.path("out/predictions-finetuned.csv");
    let predictions = e2mc::Predictions::read(&file).unwrap();
    assert_eq!(predictions.images.len(), 30);
    assert_eq!(predictions.probes[1].name, "100%, fine-tuned");
    let draw = &predictions.probes[1].draws[1];
    let right = draw.iter().zip(&predictions.labels).filter(|(c, y)| c == y);
    let accuracy = 100.0 * right.count() as f64 / 30.0;
    assert_eq!(found["rows"][1]["draws"][1]["top1"][2], accuracy);
    let compared = e2mc::compare_predictions(&file, &file, 0).unwrap();
    assert_eq!(compared[0].difference.mean, 0.0);
}

#[test]
fn fewer_tests_do_not_change_the_training() {
    let always = Bench::new().json(&["--labels", "2/class"]);
    let seldom = Bench::new().json(&["--labels", "2/class", "--test-every", "2"]);
    let [always, seldom] = [always, seldom].map(|found| found["rows"][0]["draws"].clone());
    for (always, seldom) in (0..2).map(|draw| (&always[draw], &seldom[draw])) {
        assert_eq!(seldom["tested_epochs"], serde_json::json!([2, 3]));
        for accuracy in ["top1", "top5"] {
            let tested = [&always[accuracy][1], &always[accuracy][2]];
            assert_eq!(seldom[accuracy], serde_json::json!(tested));
        }
        assert_eq!(seldom["train_loss"], always["train_loss"]);
    }
}

#[test]
fn a_stopped_fine_tuning_keeps_its_draws_and_ends_with_the_same_numbers() {
    let bench = Bench::new();
    let labels = ["--labels", "2/class"];
    let whole = bench.json(&labels);
    let kept = bench.path("out/draw-0-0.json");
    let first = std::fs::metadata(&kept).unwrap().modified().unwrap();
    // The folder of a program killed in the second draw.
    for lost in ["draw-0-1.json", "results.json", "predictions-finetuned.csv"] {
        std::fs::remove_file(bench.path("out").join(lost)).unwrap();
    }
    assert_eq!(bench.json(&labels), whole);
    let now = std::fs::metadata(&kept).unwrap().modified().unwrap();
    assert_eq!(now, first, "the first draw was trained again");

    let other = bench.run(&["--labels", "2/class", "--head-rate", "0.5"]);
    let message = text(&other.stderr);
    assert!(
        !other.status.success() && message.contains("another plan"),
        "{message}"
    );
    assert!(
        message.contains("head_rate") || message.contains("--head-rate"),
        "{message}"
    );
}

#[test]
fn settings_that_cannot_be_are_rejected() {
    let bench = Bench::new();
    let out = bench.path("out");
    for (options, part) in [
        (["--head-rate", "0"], "--head-rate is 0"),
        (["--backbone-rate", "-1"], "--backbone-rate is -1"),
        (["--weight-decay", "-1"], "weight-decay is -1"),
        (["--decay", "12:x"], "EPOCHS:FACTOR"),
        (["--test-every", "0"], "--test-every is 0"),
        (["--decay", "16,12:0.2"], "ascending order"),
        (["--labels", "7/class"], "7"),
        (["--labels", "list:nowhere.txt"], "nowhere.txt"),
    ] {
        let result = bench.run(&options);
        let message = text(&result.stderr);
        assert!(
            !result.status.success() && message.contains(part),
            "{message}"
        );
        assert!(!message.contains("panicked") && !out.exists(), "{message}");
    }
    let mut program = program();
    let program = program.args(["finetune", "--checkpoint", CHECKPOINT, "--output"]);
    let result = program
        .arg(&out)
        .args(["--label-draws", "0"])
        .output()
        .unwrap();
    assert_rejected(&result, &out, &["--label-draws is 0"]);
}

#[test]
fn a_loss_that_is_not_finite_stops_and_says_how_to_go_on() {
    let bench = Bench::new();
    let rates = ["--labels", "3/class", "--head-rate", "1e30"];
    let result = bench.run(&rates);
    let message = text(&result.stderr);
    assert!(!result.status.success(), "{message}");
    assert!(
        message.contains("infinite or NaN") && message.contains("--head-rate"),
        "{message}"
    );
}
