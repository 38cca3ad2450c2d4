//! Whole studies and their results, with any method and any list of branches.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{
    TRAIN, assert_same_run, photo_plan, run, short, small_plan, write_images, write_photos,
};
use e2mc::methods::criterion::CriterionConfig;
use e2mc::plan::{CheckpointStart, CriterionName, Start};
use e2mc::{
    Error, Event, Observer, Plan, Preset, RunOptions, StepMetrics, TrainingState, write_report,
};
use safetensors::SafeTensors;

fn metrics(folder: &Path, branch: &str) -> Vec<StepMetrics> {
    let file = folder.join(format!("metrics-{branch}.jsonl"));
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_study_leaves_a_complete_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    write_images(&folder.path().join("images"));
    let plan = small_plan(&folder.path().join("images"));
    let output = folder.path().join("run");
    let results = run(&plan, &output).unwrap();

    for file in [
        "plan.json",
        "fingerprint.json",
        "metrics-continued.jsonl",
        "metrics-e2mc.jsonl",
        "predictions-base.csv",
        "results.json",
        "backbone-continued.safetensors",
        "backbone-e2mc.safetensors",
        "checkpoints/e2mc.safetensors",
        "report.html",
    ] {
        assert!(output.join(file).exists(), "{file} is missing");
    }
    assert_eq!(Plan::read(output.join("plan.json")).unwrap(), plan);
    let steps = plan.epochs * (TRAIN / plan.batch_size);
    let [continued, e2mc] = ["continued", "e2mc"].map(|branch| metrics(&output, branch));
    assert_eq!([continued.len(), e2mc.len()], [steps, steps]);
    // Both branches start from the same weights and see the same pictures.
    assert_eq!(continued[0].base_loss, e2mc[0].base_loss);
    assert_eq!(continued[0].entropy, e2mc[0].entropy);
    let CriterionConfig::E2mc(criterion) = &plan.branches[1].criterion else {
        panic!("{:?}", plan.branches);
    };
    for step in &e2mc {
        let expected = step.base_loss - criterion.entropy_weight * step.entropy
            + criterion.covariance_weight * step.covariance;
        assert!((step.loss - expected).abs() < 1e-4, "{step:?}");
    }
    for step in &continued {
        assert_eq!(step.loss, step.base_loss);
        assert!(step.wait > 0.0 && step.wait < 1.0 && step.images_per_second > 0.0);
    }

    let bytes = std::fs::read(output.join("backbone-e2mc.safetensors")).unwrap();
    let names = SafeTensors::deserialize(&bytes).unwrap();
    let names = names.names();
    assert!(names.contains(&"conv1.weight") && names.contains(&"layer4.0.bn2.running_var"));
    assert!(!names.iter().any(|name| name.contains("prototypes")));

    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("95% interval") && report.matches("<svg").count() == 10);
    assert!(!report.contains("http-equiv") && !report.contains("<script"));
    assert!(!report.contains("not finished"));
    let counts = |backbone: &e2mc::BackboneResults| -> Vec<usize> {
        backbone.probes.iter().map(|p| p.accuracies.len()).collect()
    };
    let names: Vec<&str> = results.backbones.iter().map(|b| &*b.name).collect();
    assert_eq!(names, ["base", "continued", "e2mc"]);
    for backbone in &results.backbones {
        assert_eq!(counts(backbone), [2, 2, 1]);
    }
    let against = |branch| {
        results
            .of(branch)
            .map(|c| c.reference.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(against("continued"), ["base"; 3]);
    assert_eq!(against("e2mc"), ["continued"; 3]);

    // The section on the embeddings comes first.
    let [embeddings, accuracy] = ["did to the embeddings", ">Accuracy<"].map(|h| report.find(h));
    assert!(embeddings.unwrap() < accuracy.unwrap());
    let tests = &results.embedding_comparisons;
    assert_eq!(tests.len(), 2 * e2mc::Quantity::ALL.len());
    assert_eq!(results.backbones[0].embeddings.block_images, 30);
    // One sentence says whether it helped.
    assert_eq!(results.verdicts.len(), 1);
    let sentence = results.verdicts[0].sentence("+ E2MC", "continued");
    assert!(report.contains(&sentence), "{sentence}");

    std::fs::remove_file(output.join("report.html")).unwrap();
    write_report(&output).unwrap();
    assert_eq!(
        std::fs::read_to_string(output.join("report.html")).unwrap(),
        report
    );

    let again = run(&plan, &output).unwrap_err();
    assert!(again.to_string().contains("finished run"), "{again}");
}

#[test]
fn two_equal_runs_write_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    write_images(&folder.path().join("images"));
    let mut plan = small_plan(&folder.path().join("images"));
    plan.monitor_every = Some(1);
    let outputs = ["first", "second"].map(|name| folder.path().join(name));
    for output in &outputs {
        run(&plan, output).unwrap();
    }
    assert_same_run(&outputs[0], &outputs[1]);
}

#[test]
fn a_probe_in_training_is_the_one_of_a_shorter_run() {
    let folder = tempfile::tempdir().unwrap();
    write_images(&folder.path().join("images"));
    let mut plan = small_plan(&folder.path().join("images"));
    plan.probe_every = Some(1);
    let [shorter, longer] = [1, 3].map(|epochs| {
        plan.epochs = epochs;
        let output = folder.path().join(format!("run-{epochs}"));
        (run(&plan, &output).unwrap(), output)
    });
    let probe = &shorter.0.backbones[1].probes[0];
    assert!(!shorter.1.join("curve-continued.jsonl").exists());
    let curve = std::fs::read_to_string(longer.1.join("curve-continued.jsonl")).unwrap();
    let curve: Vec<serde_json::Value> = curve
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The trained backbone is measured with the others.
    assert_eq!(curve.len(), 2);
    // The learning rate is constant, and the draws are the same.
    assert_eq!(curve[0]["epoch"], 1);
    assert_eq!(curve[0]["labels"], "1%");
    assert_eq!(curve[0]["accuracies"], serde_json::json!(probe.accuracies));
    let report = std::fs::read_to_string(longer.1.join("report.html")).unwrap();
    assert!(report.contains("Accuracy over the epochs of training"));
    let report = std::fs::read_to_string(shorter.1.join("report.html")).unwrap();
    assert!(!report.contains("Accuracy over the epochs of training"));

    plan.probes.clear();
    let output = folder.path().join("unprobed");
    run(&plan, &output).unwrap();
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("nothing is probed during training"));
}

/// Trains a small preset from scratch for an epoch, then continues the result without naming the
/// method.
fn from_scratch_to_continued(preset: Preset) {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = short(preset.pretraining(), &images);
    plan.epochs = 1;
    let output = folder.path().join("pretrain");
    let results = run(&plan, &output).unwrap();
    let names: Vec<&str> = results.backbones.iter().map(|b| &*b.name).collect();
    assert_eq!(names, ["pretrained"], "{preset}: nothing to compare with");

    let start = CheckpointStart::new(output.join("checkpoints/pretrained.safetensors"));
    let found = e2mc::preset_for(&start).unwrap();
    assert_eq!(found, preset);
    let mut plan = short(found.continuation(start), &images);
    plan.epochs = 1;
    let results = run(&plan, &folder.path().join("continue")).unwrap();
    assert_eq!(results.backbones.len(), 3, "{preset}");
    // Read back and probed with the same labels, the network has the same accuracies as after
    // training.
    let before = e2mc::LabelProbes::summary(&results.backbones[0].probes[2]).unwrap();
    assert!(before.mean > 10.0, "{preset}: {before}");
}

#[test]
fn swav_from_scratch_to_continued() {
    from_scratch_to_continued(Preset::SwavSmall);
}

#[test]
fn vicreg_from_scratch_to_continued() {
    from_scratch_to_continued(Preset::VicregSmall);
}

#[test]
fn simsiam_from_scratch_to_continued() {
    from_scratch_to_continued(Preset::SimSiamSmall);
}

#[test]
fn barlow_twins_from_scratch_to_continued() {
    from_scratch_to_continued(Preset::BarlowTwinsSmall);
}

#[test]
fn any_list_of_branches_has_its_rows_and_curves() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = small_plan(&images);
    plan.epochs = 1;
    let e2mc = Preset::SwavSmall.e2mc();
    // Without a branch without a criterion, all are compared with the base.
    plan.branches = [
        CriterionName::VcReg,
        CriterionName::Uniformity,
        CriterionName::Mmcr,
        CriterionName::E2mc,
    ]
    .map(|name| name.branch(&e2mc))
    .to_vec();
    plan.branches[3].name = "e2mc-slow".into();
    plan.branches[3].learning_rate = Some(1e-4);
    let output = folder.path().join("run");
    let results = run(&plan, &output).unwrap();
    assert_eq!(results.backbones.len(), 5);
    assert!(results.comparisons.iter().all(|c| c.reference == "base"));
    assert_eq!(results.comparisons.len(), 4 * 3);
    assert_eq!(metrics(&output, "e2mc-slow")[0].learning_rate, 1e-4);
    let criterion = &metrics(&output, "vcreg")[0].criterion;
    assert!(criterion.contains_key("vcreg_variance"), "{criterion:?}");
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    for title in ["+ VCReg", "+ uniformity", "+ MMCR"] {
        assert!(report.contains(title), "{title}");
    }
}

/// A folder with 120 + 120 JPEGs of two classes to train on and 20 + 20 to test on.
fn photo_folder(root: &Path) {
    let kinds = [
        ["baseline_420.jpg", "cmyk_adobe.jpg", "progressive_444.jpg"],
        ["quality_30.jpg", "grey.jpg", "size_8x8_420.jpg"],
    ];
    for (part, count) in [("train", 120), ("val", 20)] {
        for (class, kinds) in ["cat", "dog"].into_iter().zip(&kinds) {
            write_photos(&root.join(part).join(class), count, kinds);
        }
    }
}

fn with_cache(folder: &Path) -> RunOptions {
    RunOptions::default().with_cache(folder.join("cache"))
}

#[test]
fn unreadable_files_are_left_out_and_named_in_log_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("photos");
    photo_folder(&images);
    std::fs::create_dir(images.join("train/empty")).unwrap();
    std::fs::create_dir(images.join("val/empty")).unwrap();
    // Two of 240: less than 1%.
    std::fs::write(images.join("train/cat/zero.jpg"), b"").unwrap();
    write_photos(&images.join("train/dog"), 1, &["bad_truncated.jpg"]);
    let mut plan = photo_plan(folder.path(), &images);
    let run = |plan: &Plan, output: &PathBuf| {
        let silent = Arc::new(e2mc::Silent);
        e2mc::run(plan.clone(), with_cache(folder.path()), output, silent)
    };
    let output = folder.path().join("run");
    run(&plan, &output).unwrap();

    let bad = ["cat/zero.jpg", "dog/000-bad_truncated.jpg"];
    for branch in ["continued", "e2mc"] {
        let metrics = metrics(&output, branch);
        assert_eq!(metrics.len(), 2 * 7); // two epochs of 242 / 32 steps
        let named = metrics.iter().flat_map(|step| &step.failed_reads);
        let mut named: Vec<&str> = named.map(|failure| failure.name.as_str()).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, bad, "{branch}");
    }
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("2 images could not be read"));
    for name in bad.into_iter().chain(["train/empty", "val/empty"]) {
        assert!(report.contains(name), "{name} is not in the report");
    }

    let results = std::fs::read(output.join("results.json")).unwrap();
    plan.prepare = true;
    for name in ["preparing", "prepared"] {
        let output = folder.path().join(name);
        run(&plan, &output).unwrap();
        assert_eq!(std::fs::read(output.join("results.json")).unwrap(), results);
    }
    plan.prepare = false;

    std::fs::write(images.join("train/cat/more.jpg"), b"not a JPEG").unwrap();
    plan.seed = 1;
    let error = run(&plan, &folder.path().join("second")).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("photos/train") && message.contains("more than 1%"),
        "{message}"
    );
}

#[test]
fn images_without_labels_are_trained_on_and_not_probed() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("photos");
    write_photos(&images, 64, &["baseline_420.jpg", "grey.jpg"]);
    let mut plan = photo_plan(folder.path(), &images);
    plan.epochs = 1;
    let output = folder.path().join("run");
    let results = run(&plan, &output).unwrap();
    assert!(results.comparisons.is_empty());
    assert!(
        results
            .backbones
            .iter()
            .all(|backbone| backbone.probes.is_empty())
    );
    assert_eq!(metrics(&output, "e2mc").len(), 2);
    assert!(output.join("backbone-e2mc.safetensors").exists());
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("no probe is possible") && report.matches("<svg").count() == 6);
}

#[test]
fn a_diverging_branch_stops_the_other_at_once_and_keeps_its_last_good_state() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = small_plan(&images);
    plan.epochs = 2000;
    plan.branches[1].learning_rate = Some(1e30);
    let output = folder.path().join("run");
    let error = run(&plan, &output).unwrap_err();
    let Error::Diverged {
        branch,
        term,
        skipped,
        step,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((branch.as_str(), *skipped), ("e2mc", 3), "{error}");
    let metrics = metrics(&output, "e2mc");
    assert_eq!(metrics.len(), step + 1);
    let (taken, skipped) = metrics.split_at(metrics.len() - 3);
    assert!(
        taken
            .iter()
            .all(|step| step.skipped.is_none() && step.loss.is_finite())
    );
    assert_eq!(skipped[2].skipped.as_deref(), Some(term.as_str()));
    // The other branch saved its state long before its 2000 epochs were over.
    let states = |branch| TrainingState::newest(&output.join("checkpoints"), branch).unwrap();
    assert!(states("e2mc").is_some() && states("continued").is_some());
    assert!(self::metrics(&output, "continued").len() < 6000);
}

/// Keeps the decisions, and stops after some steps.
struct Watching {
    decisions: Mutex<Vec<String>>,
}

impl Observer for Watching {
    fn event(&self, event: &Event) {
        if let Event::Decision(line) = event {
            self.decisions.lock().unwrap().push(line.to_string());
        }
    }
}

#[test]
fn vicregs_epoch_and_momentum_are_taken_up() {
    // A file written by PyTorch in the official layout, with epoch and optimizer.
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/reference/methods/init_vicreg.pth"
    );
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut outcomes = Vec::new();
    for resume in [true, false] {
        let mut start = CheckpointStart::new(file);
        start.resume = resume;
        let mut plan = short(Preset::VicregSmall.continuation(start.clone()), &images);
        plan.start = Start::Checkpoint(start);
        let checkpoint = e2mc::resnet::Checkpoint::open(file).unwrap();
        let channels = checkpoint.shape("backbone.conv1.weight").unwrap()[1];
        plan.recipe = plan.recipe.with_channels(channels);
        plan.evaluation = plan.evaluation.with_channels(channels);
        plan.epochs = 1;
        assert_eq!(channels, 1, "the images are gray");
        let watching = Arc::new(Watching {
            decisions: Mutex::default(),
        });
        let output = folder.path().join(format!("resume-{resume}"));
        let options = RunOptions::default();
        e2mc::run(plan, options, &output, watching.clone()).unwrap();
        let decisions = watching.decisions.lock().unwrap().join("\n");
        assert_eq!(
            decisions.contains("Training is resumed"),
            resume,
            "{decisions}"
        );
        let steps = metrics(&output, "continued");
        outcomes.push((checkpoint.epoch(), steps));
    }
    let [(epoch, resumed), (_, fresh)] = &outcomes[..] else {
        unreachable!("two runs");
    };
    let epoch = epoch.expect("the file states its epoch") as usize;
    assert_eq!((resumed[0].epoch, fresh[0].epoch), (epoch, 0));
    assert!(epoch > 0);
    // The first update differs by the momentum, so the second step's loss does.
    assert_ne!(resumed[1].loss, fresh[1].loss);
}

#[test]
fn a_part_with_a_rate_of_its_own_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let weights = |name: &str, rate: f64| {
        let mut plan = short(Preset::SimSiamSmall.pretraining(), &images);
        plan.epochs = 1;
        plan.probes.clear();
        plan.schedule.learning_rate = rate;
        // Too small to move a weight, so the predictor keeps its initial weights.
        plan.optimizer.part_rates.insert("predictor".into(), 1e-30);
        let output = folder.path().join(name);
        run(&plan, &output).unwrap();
        std::fs::read(output.join("checkpoints/pretrained.safetensors")).unwrap()
    };
    let [slow, fast] = [("slow", 0.01), ("fast", 0.1)].map(|(name, rate)| weights(name, rate));
    let [slow, fast] = [&slow, &fast].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    for (name, same) in [
        ("predictor.0.weight", true),
        ("encoder.conv1.weight", false),
    ] {
        let [slow, fast] =
            [&slow, &fast].map(|tensors| tensors.tensor(name).unwrap().data().to_vec());
        assert_eq!(slow == fast, same, "{name}");
    }
}

/// Stops the run at the first matching event.
struct StopAt(fn(&Event) -> bool, AtomicBool);

impl Observer for StopAt {
    fn event(&self, event: &Event) {
        self.1.fetch_or((self.0)(event), Ordering::Relaxed);
    }

    fn stop_requested(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

/// Runs the study of a plan until the first matching event.
fn run_until(plan: &Plan, output: &Path, is_last: fn(&Event) -> bool) {
    let observer = Arc::new(StopAt(is_last, AtomicBool::new(false)));
    let error = e2mc::run(plan.clone(), RunOptions::default(), output, observer).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
}

#[test]
fn an_unreadable_image_is_met_again_by_a_run_that_stopped_at_its_probes() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("photos");
    photo_folder(&images);
    std::fs::write(images.join("train/cat/zero.jpg"), b"").unwrap();
    let mut plan = photo_plan(folder.path(), &images);
    plan.epochs = 1;
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    run(&plan, &whole).unwrap();

    run_until(
        &plan,
        &stopped,
        |event| matches!(event, Event::Progress { task, .. } if task.starts_with("probes")),
    );
    assert!(!stopped.join("measured-base.json").exists());
    run(&plan, &stopped).unwrap();
    assert_same_run(&whole, &stopped);
}

#[test]
fn features_that_a_killed_run_left_behind_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = small_plan(&images);
    plan.epochs = 1;
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    run(&plan, &whole).unwrap();

    run_until(&plan, &killed, |event| matches!(event, Event::Step { .. }));
    // As after a kill between the measurement and the removal.
    std::fs::write(killed.join("features-base-train.safetensors"), b"features").unwrap();
    run(&plan, &killed).unwrap();
    assert_same_run(&whole, &killed);
}

#[test]
fn branches_from_scratch_have_one_start() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = short(Preset::VicregSmall.pretraining(), &images);
    plan.epochs = 1;
    plan.probes.clear();
    let twin = plan.branches[0].clone();
    plan.branches[0].name = "first".into();
    plan.branches.push(twin);
    plan.branches[1].name = "second".into();
    let output = folder.path().join("run");
    run(&plan, &output).unwrap();
    let [first, second] = ["first", "second"].map(|branch| {
        std::fs::read(output.join(format!("checkpoints/{branch}.safetensors"))).unwrap()
    });
    assert!(first == second, "they were trained alike");
}
