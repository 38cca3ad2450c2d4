//! A whole study: what it leaves behind, and that a killed one ends with the numbers of one that was not.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{CHECKPOINT, TRAIN, photo_config, program, small_config, write_images, write_photos};
use e2mc::{EpochState, Error, StepMetrics, Study, Training, TrainingConfig, parse_device};
use safetensors::SafeTensors;

fn metrics(folder: &Path) -> Vec<StepMetrics> {
    let branches = ["continued", "e2mc"].map(|branch| {
        std::fs::read_to_string(folder.join(format!("metrics-{branch}.jsonl"))).unwrap()
    });
    branches
        .concat()
        .lines()
        .map(|line| {
            let mut step: StepMetrics = serde_json::from_str(line).unwrap();
            step.images_per_second = 0.0; // the one figure that may differ between equal runs
            step
        })
        .collect()
}

#[test]
fn a_study_leaves_a_complete_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    write_images(&folder.path().join("images"));
    let config = small_config(&folder.path().join("images"));
    let output = folder.path().join("run");
    let results = Study::swav(config.clone()).unwrap().run(&output).unwrap();

    for file in [
        "config.json",
        "metrics-continued.jsonl",
        "metrics-e2mc.jsonl",
        "results.json",
        "backbone.safetensors",
        "report.html",
    ] {
        assert!(output.join(file).exists(), "{file} is missing");
    }
    let steps = config.epochs * (TRAIN / config.batch_size);
    let metrics = metrics(&output);
    assert_eq!(metrics.len(), 2 * steps);
    // Both branches start from the same weights and see the same pictures.
    assert_eq!(metrics[0].base, metrics[steps].base);
    assert_eq!(metrics[0].entropy, metrics[steps].entropy);
    let criterion = &config.criterion;
    for step in &metrics[steps..] {
        let expected = step.base_loss() - criterion.entropy_weight * step.entropy
            + criterion.covariance_weight * step.covariance;
        assert!((step.loss - expected).abs() < 1e-4, "{step:?}");
    }

    let bytes = std::fs::read(output.join("backbone.safetensors")).unwrap();
    let names = SafeTensors::deserialize(&bytes).unwrap();
    let names = names.names();
    assert!(names.contains(&"conv1.weight") && names.contains(&"layer4.0.bn2.running_var"));
    assert!(!names.iter().any(|name| name.contains("prototypes")));

    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("McNemar p") && report.matches("<svg").count() == 5);
    assert!(!report.contains("http-equiv") && !report.contains("<script"));
    for (_, probes) in &results.probes {
        assert_eq!(
            probes
                .iter()
                .map(|p| p.accuracies.len())
                .collect::<Vec<_>>(),
            [2, 2, 1]
        );
    }

    let again = Study::swav(config).unwrap().run(&output);
    assert!(matches!(again, Err(Error::RunFolder { .. })), "{again:?}");
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
    let mut config = photo_config(folder.path(), &images);
    config.cache = Some(folder.path().join("cache"));
    let output = folder.path().join("run");
    Study::swav(config.clone()).unwrap().run(&output).unwrap();

    let bad = ["cat/zero.jpg", "dog/000-bad_truncated.jpg"];
    let metrics = metrics(&output);
    assert_eq!(metrics.len(), 2 * 2 * 7); // two branches, two epochs of 242 / 32 steps
    for branch in ["continued", "e2mc"] {
        let named = metrics
            .iter()
            .filter(|step| step.branch == branch)
            .flat_map(|step| &step.failed_reads);
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
    config.prepare = true;
    for run in ["preparing", "prepared"] {
        let output = folder.path().join(run);
        Study::swav(config.clone()).unwrap().run(&output).unwrap();
        assert_eq!(std::fs::read(output.join("results.json")).unwrap(), results);
    }
    config.prepare = false;

    std::fs::write(images.join("train/cat/more.jpg"), b"not a JPEG").unwrap();
    config.seed = 1;
    let output = folder.path().join("second");
    let error = Study::swav(config).unwrap().run(&output).unwrap_err();
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
    let mut config = photo_config(folder.path(), &images);
    config.epochs = 1;
    let output = folder.path().join("run");
    let results = Study::swav(config).unwrap().run(&output).unwrap();
    assert!(results.e2mc_against_continued.is_empty());
    assert_eq!(metrics(&output).len(), 2 * 2);
    assert!(output.join("backbone.safetensors").exists());
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains("the images have no labels") && report.matches("<svg").count() == 4);
}

#[test]
fn a_training_resumed_from_its_state_equals_one_that_went_through() {
    use e2mc::methods::BaseMethod;
    use e2mc::methods::swav::{QueueConfig, Swav, SwavConfig};
    use e2mc::resnet::Checkpoint;

    let folder = tempfile::tempdir().unwrap();
    write_images(&folder.path().join("images"));
    let config = small_config(&folder.path().join("images"));
    let (train, _) = e2mc::data::fashion_mnist::load_idx(config.data.as_ref().unwrap()).unwrap();
    let recipe = config.recipe.clone();
    let loader = e2mc::data::Loader::new(Arc::new(train), recipe, 16, config.seed).unwrap();
    let device = parse_device("flex").unwrap().autodiff();
    let start = || {
        let checkpoint = Checkpoint::open(CHECKPOINT).unwrap();
        let mut swav = SwavConfig::from_checkpoint(&checkpoint).unwrap();
        swav.queue = Some(QueueConfig::new(32, 0)); // a method that remembers more than its weights
        let method = Swav::from_checkpoint(&checkpoint, &swav, &device).unwrap();
        let training = TrainingConfig {
            branch: "test",
            epochs: 2,
            learning_rate: 0.01,
            optimizer: config.optimizer.clone(),
            criterion: config.criterion.init(),
            train_with_criterion: true,
            micro_batch: Some(8), // half a batch
        };
        Training::new(method, training).unwrap()
    };
    let epoch = |training: Training<Swav>, losses: &mut Vec<f64>| {
        training
            .epoch(&loader, &device, |step| {
                losses.push(step.loss);
                Ok(())
            })
            .unwrap()
    };

    let mut through = Vec::new();
    let training = epoch(epoch(start(), &mut through), &mut through);
    assert!(training.is_finished());
    let expected = folder.path().join("through.safetensors");
    training.into_method().save(&expected).unwrap();

    let mut resumed = Vec::new();
    let states = folder.path().join("states");
    std::fs::create_dir(&states).unwrap();
    EpochState::save(&epoch(start(), &mut resumed), &states).unwrap();
    let state = EpochState::newest(&states, "test").unwrap().unwrap();
    let training = epoch(state.restore(start()).unwrap(), &mut resumed);
    let found = folder.path().join("resumed.safetensors");
    training.into_method().save(&found).unwrap();

    assert_eq!(through, resumed);
    let [expected, found] = [expected, found].map(|path| std::fs::read(path).unwrap());
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let found = SafeTensors::deserialize(&found).unwrap();
    assert_eq!(sorted_names(&expected), sorted_names(&found));
    for (name, tensor) in expected.iter() {
        assert!(tensor == found.tensor(name).unwrap(), "{name} differs");
    }
}

fn sorted_names<'a>(tensors: &'a SafeTensors<'_>) -> Vec<&'a str> {
    let mut names = tensors.names();
    names.sort_unstable();
    names
}

#[test]
fn a_killed_run_goes_on_to_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let command = |output: &str| {
        let mut command = program();
        command
            .arg("--data")
            .arg(&images)
            .args([
                "--epochs",
                "3",
                "--batch-size",
                "16",
                "--label-draws",
                "1",
                "--output",
            ])
            .arg(folder.path().join(output))
            .stdout(Stdio::null());
        command
    };
    assert!(command("whole").status().unwrap().success());

    let killed = folder.path().join("killed");
    let mut child = command("killed").spawn().unwrap();
    let state = killed.join("checkpoints/continued-epoch-1");
    let start = Instant::now();
    while !state.exists() && child.try_wait().unwrap().is_none() {
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "no state was saved"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !killed.join("report.html").exists(),
        "the run ended before it could be killed"
    );

    assert!(command("killed").status().unwrap().success());
    assert_eq!(metrics(&folder.path().join("whole")), metrics(&killed));
    let results = |run: &str| std::fs::read(folder.path().join(run).join("results.json")).unwrap();
    assert_eq!(results("whole"), results("killed"));
}
