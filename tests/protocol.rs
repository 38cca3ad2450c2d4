//! The paper's evaluation through the command line: random crops, published lists, the iNaturalist
//! probe.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Bench, CHECKPOINT, assert_rejected, photo_plan, program, run, text, write_photos};
use e2mc::plan::{Crops, Labels, ProbePlan};
use e2mc::{Event, Observer, RunOptions};

impl Bench {
    fn command(&self, arguments: &[&str]) -> Output {
        let mut program = program();
        program.args(arguments).current_dir(self.folder.path());
        program.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let result = self.command(arguments);
        assert!(result.status.success(), "{}", text(&result.stderr));
        serde_json::from_slice(&result.stdout).unwrap()
    }
}

/// Accuracies after each epoch of the first probe of the first backbone.
fn epochs(found: &serde_json::Value) -> &serde_json::Value {
    &found["backbones"][0][1][0]["epoch_accuracies"]
}

#[test]
fn the_checkpoint_of_the_repository_states_its_stem() {
    let checkpoint = e2mc::resnet::Checkpoint::open(CHECKPOINT).unwrap();
    assert!(checkpoint.states_stem());
    let config = e2mc::resnet::infer_resnet_config(&checkpoint).unwrap();
    let (kernel, stride) = (3, 2);
    assert_eq!(config.stem, e2mc::resnet::Stem::Small { kernel, stride });
}

const PROBE: [&str; 5] = ["probe", "--checkpoint", CHECKPOINT, "--data", "images"];

#[test]
fn fresh_crops_are_drawn_in_each_epoch_and_the_same_every_time() {
    let bench = Bench::new();
    let probe = |crops, labels| {
        let options = [
            "--labels",
            labels,
            "--label-draws",
            "3",
            "--set",
            "epochs=6",
            "--json",
            "--crops",
            crops,
        ];
        bench.json(&[&PROBE[..], &options].concat())
    };
    let fresh = probe("fresh", "100%");
    assert_eq!(fresh, probe("fresh", "100%"));
    // Six crops in six epochs are seen once each, like fresh crops: the same images in the same
    // order.
    assert_eq!(epochs(&fresh), epochs(&probe("6", "100%")));
    assert_ne!(epochs(&fresh), epochs(&probe("1", "100%")));
    assert_ne!(epochs(&fresh), epochs(&probe("center", "100%")));
    let few = probe("fresh", "2/class");
    assert_eq!(epochs(&few).as_array().unwrap().len(), 3);
    assert_eq!(epochs(&few)[0].as_array().unwrap().len(), 6);
}

#[test]
fn a_run_probes_with_the_crops_of_its_plan() {
    let bench = Bench::new();
    let mut plan = common::small_plan(&bench.path("images"));
    plan.epochs = 1;
    plan.probes.drain(..2);
    plan.probe_crops = Crops::Fresh;
    let results = run(&plan, &bench.path("run")).unwrap();
    let options = [
        "--labels", "100%", "--set", "epochs=5", "--json", "--crops", "fresh",
    ];
    let probed = bench.json(&[&PROBE[..], &options].concat());
    let base = serde_json::to_value(&results.backbones[0].probes[0]).unwrap();
    assert_eq!(base["epoch_accuracies"], *epochs(&probed));

    let files = std::fs::read_dir(bench.path("run")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.starts_with("features-")));
    let shown = bench.json(&["continue", "--crops", "4", "--dry-run"]);
    assert_eq!(shown["probe_crops"], "4");
    let shown = bench.json(&["continue", "--set", "probe_crops=8", "--dry-run"]);
    assert_eq!(shown["probe_crops"], "8");
}

#[test]
fn an_unreadable_image_takes_no_part_in_probes_on_random_crops() {
    let bench = Bench::new();
    let photos = bench.path("photos");
    for part in ["train", "val"] {
        write_photos(&photos.join(part).join("cat"), 60, &["grey.jpg"]);
        write_photos(&photos.join(part).join("dog"), 60, &["baseline_420.jpg"]);
    }
    photo_plan(bench.folder.path(), &photos); // writes the checkpoint
    let probe = |crops| {
        bench.command(&[
            "probe",
            "--checkpoint",
            "swav.safetensors",
            "--data",
            "photos",
            "--crop-size",
            "40",
            "--labels",
            "100%,2/class",
            "--set",
            "epochs=3",
            "--json",
            "--crops",
            crops,
        ])
    };
    std::fs::write(photos.join("train/cat/000-grey.jpg"), b"no JPEG").unwrap();
    for crops in ["3", "fresh"] {
        let result = probe(crops);
        let log = text(&result.stderr);
        assert!(result.status.success(), "{crops}: {log}");
        assert!(log.contains("cat/000-grey.jpg"), "{log}");
    }
}

/// A folder like ImageNet's: two classes named by number, files with their published names.
fn write_imagenet(root: &Path) {
    for (part, count) in [("train", 6), ("val", 2)] {
        for (class, kind) in [("n01440764", "grey.jpg"), ("n01443537", "baseline_420.jpg")] {
            let folder = root.join(part).join(class);
            write_photos(&folder, count, &[kind]);
            for i in 0..count {
                let name = match part {
                    "train" => format!("{class}_{}.JPEG", 10_026 + i),
                    _ => format!("ILSVRC2012_val_{class}{i:04}.JPEG"),
                };
                std::fs::rename(folder.join(format!("{i:03}-{kind}")), folder.join(name)).unwrap();
            }
        }
    }
}

#[test]
fn the_published_lists_of_imagenet_name_the_labeled_images() {
    let bench = Bench::new();
    write_imagenet(&bench.path("imagenet"));
    photo_plan(bench.folder.path(), Path::new("imagenet")); // writes the checkpoint
    let names = ["n01440764_10026", "n01440764_10029", "n01443537_10027"];
    let lines = |end: &str| names.map(|name| format!("{name}.JPEG{end}")).concat();
    std::fs::write(bench.path("1percent.txt"), lines("\n")).unwrap();
    std::fs::write(
        bench.path("windows.txt"),
        format!("\u{feff}{}", lines("\r\n")),
    )
    .unwrap();
    let probe = |list: &str| {
        let labels = format!("list:{list}");
        let command = [
            "probe",
            "--checkpoint",
            "swav.safetensors",
            "--data",
            "imagenet",
            "--crop-size",
            "40",
            "--set",
            "epochs=2",
            "--json",
            "--labels",
            &labels,
        ];
        bench.command(&command)
    };
    let found = ["1percent.txt", "windows.txt"].map(|list| {
        let result = probe(list);
        assert!(result.status.success(), "{}", text(&result.stderr));
        let found: serde_json::Value = serde_json::from_slice(&result.stdout).unwrap();
        epochs(&found).clone()
    });
    assert_eq!(found[0], found[1]);

    std::fs::write(
        bench.path("other.txt"),
        "n01440764_10026.JPEG\nn02085620_7.JPEG\n",
    )
    .unwrap();
    let result = probe("other.txt");
    let message = text(&result.stderr);
    assert!(
        message.contains("n02085620_7.JPEG, which does not exist, in line 2"),
        "{message}"
    );
}

#[test]
fn a_run_is_not_resumed_with_another_content_of_its_list() {
    struct StopAtStep;
    impl Observer for StopAtStep {
        fn event(&self, _event: &Event) {}
        fn stop_requested(&self) -> bool {
            true
        }
    }
    let bench = Bench::new();
    let list = bench.path("list.txt");
    let write = |count: usize| {
        let lines: String = (0..count).map(|image| format!("{image}\n")).collect();
        std::fs::write(&list, lines).unwrap();
    };
    write(20);
    let mut plan = common::small_plan(&bench.path("images"));
    plan.epochs = 1;
    let settings = plan.probes[0].settings.clone();
    plan.probes = vec![ProbePlan::new(Labels::List(list.clone()), 1, settings)];
    let output = bench.path("run");
    let stopped = e2mc::run(
        plan.clone(),
        RunOptions::default(),
        &output,
        std::sync::Arc::new(StopAtStep),
    );
    assert!(matches!(stopped, Err(e2mc::Error::Stopped { .. })));
    write(30);
    let message = run(&plan, &output).unwrap_err().to_string();
    assert!(message.contains("the content of the list"), "{message}");
    assert!(message.contains("list.txt"), "{message}");
    write(20);
    run(&plan, &output).unwrap();
}

#[test]
fn a_finetuning_is_not_resumed_with_another_content_of_its_list() {
    let bench = Bench::new();
    let finetune = |list: &str| {
        std::fs::write(bench.path("list.txt"), list).unwrap();
        bench.command(&[
            "finetune",
            "--checkpoint",
            CHECKPOINT,
            "--data",
            "images",
            "--epochs",
            "1",
            "--batch-size",
            "8",
            "--label-draws",
            "1",
            "--labels",
            "list:list.txt",
            "--output",
            "out",
        ])
    };
    let all: String = (0..20).map(|image| format!("{image}\n")).collect();
    let result = finetune(&all);
    assert!(result.status.success(), "{}", text(&result.stderr));
    let result = finetune(&format!("{all}20\n"));
    let message = text(&result.stderr);
    assert!(!result.status.success(), "{message}");
    assert!(
        message.contains("another plan (lists.list.txt"),
        "{message}"
    );
}

/// A folder like iNaturalist 2018's, with two species of four images each in both parts.
fn write_inaturalist(root: &Path) {
    let kinds = ["grey.jpg", "baseline_420.jpg"];
    write_photos(&root.join("train_val2018"), 8, &kinds);
    let images: Vec<_> = (0..8)
        .map(|i| {
            let file = format!("train_val2018/{i:03}-{}", kinds[i % 2]);
            serde_json::json!({"id": i, "file_name": file})
        })
        .collect();
    let annotations: Vec<_> = (0..8)
        .map(|i| {
            let category = [20, 7][i % 2];
            serde_json::json!({"id": i, "image_id": i, "category_id": category})
        })
        .collect();
    let categories =
        [20, 7].map(|id| serde_json::json!({"id": id, "name": format!("species {id}")}));
    let list = serde_json::json!({
        "images": images, "annotations": annotations, "categories": categories,
    });
    for part in ["train2018.json", "val2018.json"] {
        std::fs::write(root.join(part), list.to_string()).unwrap();
    }
}

#[test]
fn the_inaturalist_probe_learns_from_the_last_map() {
    let bench = Bench::new();
    let folder = bench.path("inat");
    write_inaturalist(&folder);
    photo_plan(bench.folder.path(), &folder); // writes the checkpoint
    let probe = |arguments: &[&str]| -> Output {
        let command = [
            "probe",
            "--checkpoint",
            "swav.safetensors",
            "--data",
            "inat",
            "--preset",
            "inat",
        ];
        bench.command(&[&command[..], arguments].concat())
    };
    let json = |arguments: &[&str]| -> serde_json::Value {
        let result = probe(&[arguments, &["--json"]].concat());
        assert!(result.status.success(), "{}", text(&result.stderr));
        serde_json::from_slice(&result.stdout).unwrap()
    };
    // 84 epochs, all labels. The probe tells the two photographs apart.
    let found = json(&["--output", "out"]);
    let probes = &found["backbones"][0][1];
    assert_eq!(probes.as_array().unwrap().len(), 1);
    assert_eq!(probes[0]["labels"], "100%");
    assert_eq!(probes[0]["accuracies"][0], 100.0);
    assert_eq!(
        probes[0]["epoch_accuracies"][0].as_array().unwrap().len(),
        84
    );
    assert!(bench.path("out/predictions-backbone.csv").exists());

    // Other settings, other draws, other crops.
    let options = [
        "--set",
        "epochs=4",
        "--set",
        "steps=[1,2]",
        "--set",
        "learning_rate=0.02",
        "--labels",
        "1/class",
        "--label-draws",
        "2",
        "--crops",
        "fresh",
    ];
    let changed = json(&options);
    let epochs = epochs(&changed).as_array().unwrap();
    assert_eq!((epochs.len(), epochs[0].as_array().unwrap().len()), (2, 4));

    let out = bench.path("rejected");
    for (arguments, parts) in [
        (
            &["--set", "rate=1"][..],
            &["setting rate cannot be 1", "learning_rate, "][..],
        ),
        (&["--set", "epochs=0"], &["epochs is 0"]),
        (&["--set", "factor=-1"], &["factor is -1"]),
        (&["--set", "epochs"], &["expected PATH=VALUE"]),
    ] {
        let arguments = [arguments, &["--output", "rejected"]].concat();
        assert_rejected(&probe(&arguments), &out, parts);
    }
    // 64 pixels give a map of 2 x 2.
    let result = probe(&["--crop-size", "64", "--output", "rejected"]);
    let message = text(&result.stderr);
    let part = "64 x 64 pixels has 2 x 2 values: a map probe needs 6 x 6";
    assert!(message.contains(part), "{message}");
    assert!(!out.exists() && !result.status.success());
}

#[test]
fn presets_of_probes_are_named_where_one_is_unknown() {
    let bench = Bench::new();
    let result = bench.command(&[&PROBE[..], &["--preset", "inat2018"]].concat());
    assert!(text(&result.stderr).contains("simsiam-small, barlow-twins-small, inat"));
    let features = bench.path("f.safetensors");
    let features = features.to_str().unwrap();
    let result = bench.command(&[
        "probe",
        "--train-features",
        features,
        "--test-features",
        features,
        "--preset",
        "inat",
        "--output",
        "out",
    ]);
    assert_rejected(
        &result,
        &bench.path("out"),
        &["--preset is inat", "no feature maps"],
    );
}

#[test]
fn criteria_and_weights_are_shown_side_by_side() {
    let bench = Bench::new();
    let report = |name: &str, options: &[&str]| {
        let command = [
            "continue",
            "--data",
            "images",
            "--epochs",
            "1",
            "--batch-size",
            "30",
            "--labels",
            "100%",
            "--set",
            "probes.0.settings.epochs=2",
            "--output",
            name,
        ];
        let result = bench.command(&[&command[..], options].concat());
        assert!(result.status.success(), "{}", text(&result.stderr));
        std::fs::read_to_string(bench.path(name).join("report.html")).unwrap()
    };
    let (criteria, weights) = ("<h2>Criteria</h2>", "<h2>Weights of E2MC</h2>");
    let both = report(
        "both",
        &["--criteria", "vcreg", "--weights", "1:25,0.5:25,1:8"],
    );
    assert!(both.contains(criteria) && both.contains(weights));
    let one = report("one", &["--criteria", "e2mc"]);
    assert!(!one.contains(criteria) && !one.contains(weights));
    for figure in [
        "Distances to neighbors",
        "Accuracy over the epochs of the probes",
    ] {
        assert!(both.contains(figure) && one.contains(figure), "{figure}");
    }
}

/// VICReg's checkpoint with a projector whose embeddings lie on a line.
fn collapsed_checkpoint(folder: &Path) -> PathBuf {
    use e2mc::resnet::Checkpoint;
    use safetensors::SafeTensors;
    use safetensors::tensor::{Metadata, TensorView};

    let file = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = file.join("checkpoints/vicreg_fashion_mnist.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let (_, header): (usize, Metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let last = tensors
        .names()
        .into_iter()
        .filter(|name| name.starts_with("projector") && name.ends_with("weight"))
        .max()
        .unwrap()
        .to_string();
    let flat: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| {
            let mut data = view.data().to_vec();
            if *name == last {
                let row = 4 * view.shape()[1];
                let first = data[..row].to_vec();
                data.chunks_exact_mut(row)
                    .for_each(|other| other.copy_from_slice(&first));
            }
            (name.to_string(), data)
        })
        .collect();
    let views = flat.iter().map(|(name, data)| {
        let view = tensors.tensor(name).unwrap();
        let view = TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap();
        (name.clone(), view)
    });
    let path = folder.join("collapsed.safetensors");
    std::fs::write(
        &path,
        safetensors::serialize(views, header.metadata().clone()).unwrap(),
    )
    .unwrap();
    Checkpoint::open(&path).unwrap();
    path
}

#[test]
fn a_collapse_is_told_once_and_in_metrics_and_report() {
    let bench = Bench::new();
    let checkpoint = collapsed_checkpoint(bench.folder.path());
    let result = bench.command(&[
        "continue",
        "--checkpoint",
        checkpoint.to_str().unwrap(),
        "--data",
        "images",
        "--criteria",
        "none",
        "--epochs",
        "1",
        "--batch-size",
        "20",
        "--learning-rate",
        "1e-9",
        "--no-probes",
        "--output",
        "run",
    ]);
    let log = text(&result.stderr);
    assert!(result.status.success(), "{log}");
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_eq!(warnings.len(), 3, "{log}");
    assert!(
        warnings[0].contains("base, on test images: embeddings have collapsed"),
        "{log}"
    );
    assert!(
        warnings[1].contains("continued, step 0: embeddings have collapsed"),
        "{log}"
    );
    let metrics = std::fs::read_to_string(bench.path("run/metrics-continued.jsonl")).unwrap();
    assert!(
        metrics
            .lines()
            .next()
            .unwrap()
            .contains("\"collapse\":{\"complete\""),
        "{metrics}"
    );
    let report = std::fs::read_to_string(bench.path("run/report.html")).unwrap();
    assert!(report.contains("<h2>Collapse</h2>"));
    assert!(report.contains("continued, step 0 (and in 1 of 1 measurements)"));
}
