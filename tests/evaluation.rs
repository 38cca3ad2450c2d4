//! The commands that evaluate a frozen backbone: `probe`, `knn` and `compare`.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Bench, CHECKPOINT, TRAIN, assert_rejected, photo_plan, program, text, write_photos};
use e2mc::eval::{FeatureFile, StoredFeatures};

impl Bench {
    /// Runs the program on the small checkpoint and images.
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut program = program();
        program.args([command, "--checkpoint", CHECKPOINT]);
        program.arg("--data").arg(self.path("images"));
        self.finish(program.args(arguments))
    }

    /// Runs the program on features.
    fn run_on(&self, command: &str, features: [&Path; 2], arguments: &[&str]) -> Output {
        let mut program = program();
        program
            .arg(command)
            .arg("--train-features")
            .arg(features[0]);
        program.arg("--test-features").arg(features[1]);
        self.finish(program.args(arguments))
    }

    fn compare(&self, before: &Path, after: &Path, arguments: &[&str]) -> Output {
        let mut program = program();
        program.args(["compare", "--before"]);
        program.arg(before).arg("--after").arg(after);
        self.finish(program.args(arguments))
    }

    fn finish(&self, program: &mut std::process::Command) -> Output {
        program.current_dir(self.folder.path()).output().unwrap()
    }

    /// The features of the small images, training and test.
    fn features(&self) -> [PathBuf; 2] {
        ["train", "test"].map(|part| {
            let file = self.path(&format!("{part}.safetensors"));
            let arguments = ["--part", part, "--output", file.to_str().unwrap()];
            printed(self.run("extract", &arguments));
            file
        })
    }
}

/// The output of a command that must succeed.
fn printed(result: Output) -> String {
    assert!(result.status.success(), "{}", text(&result.stderr));
    text(&result.stdout)
}

fn json(result: Output) -> serde_json::Value {
    serde_json::from_str(&printed(result)).unwrap()
}

#[test]
fn knn_finds_the_same_in_a_checkpoint_and_in_extracted_features() {
    let bench = Bench::new();
    let [train, test] = bench.features();
    let options = ["--k", "1,20", "--json", "--output"];
    let of_checkpoint = json(bench.run("knn", &[&options[..], &["a"]].concat()));
    let features = [&*train, &*test];
    let of_features = json(bench.run_on("knn", features, &[&options[..], &["b"]].concat()));
    assert_eq!(of_checkpoint, of_features);
    assert_eq!(of_checkpoint["temperature"], 0.07);
    let rows = of_checkpoint["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    // Far above chance, 10%.
    assert!(
        rows[0]["accuracies"][0].as_f64().unwrap() > 40.0,
        "{rows:?}"
    );
    let csv = |folder| std::fs::read_to_string(bench.path(folder).join("predictions-knn.csv"));
    assert_eq!(csv("a").unwrap(), csv("b").unwrap());
    assert_eq!(csv("a").unwrap().lines().count(), 1 + 30);

    let table = printed(bench.run("knn", &["--k", "5", "--labels", "2/class"]));
    assert!(
        table.contains("neighbors") && table.contains("±"),
        "{table}"
    );
}

#[test]
fn knn_names_the_option_that_is_wrong() {
    let bench = Bench::new();
    for (options, part) in [
        (["--k", "61"], "--k is 61 with 60 training images"),
        (["--k", "0"], "--k is 0"),
        (["--temperature", "-1"], "--temperature is -1"),
        (["--label-draws", "0"], "--label-draws is 0"),
    ] {
        let first = if options[0] == "--k" {
            &[][..]
        } else {
            &["--k", "5"]
        };
        let arguments = [first, &options[..], &["--output", "out"]].concat();
        let result = bench.run("knn", &arguments);
        let message = text(&result.stderr);
        assert!(
            !result.status.success() && message.contains(part),
            "{message}"
        );
        assert!(!bench.path("out").exists());
    }
}

#[test]
fn features_with_nan_and_of_other_classes_are_rejected() {
    let bench = Bench::new();
    let [train, test] = bench.features();
    let mut bytes = std::fs::read(&test).unwrap();
    let stored = StoredFeatures::read(&test).unwrap();
    let value = stored.features.values()[5].to_le_bytes();
    let at = bytes.windows(4).rposition(|window| window == value);
    bytes[at.unwrap()..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let nan = bench.path("nan.safetensors");
    std::fs::write(&nan, bytes).unwrap();

    let other = bench.path("other.safetensors");
    let classes = ["cat", "dog"].map(String::from);
    let names = ["a", "b"].map(String::from);
    let mut file = FeatureFile::create(&other, &names, Some(&[0, 1]), &classes, 128).unwrap();
    file.append(&[0.5; 256]).unwrap();
    file.finish().unwrap();

    let out = bench.path("out");
    for command in ["knn", "probe"] {
        let result = bench.run_on(command, [&train, &nan], &["--output", "out"]);
        assert_rejected(&result, &out, &["nan.safetensors", "NaN"]);
        let result = bench.run_on(command, [&train, &other], &["--output", "out"]);
        assert_rejected(
            &result,
            &out,
            &["other.safetensors", "classes are not those of"],
        );
    }
}

#[test]
fn a_probe_of_features_is_the_probe_of_their_images() {
    let bench = Bench::new();
    let [train, test] = bench.features();
    let options = [
        "--labels",
        "2/class,100%",
        "--preset",
        "swav-small",
        "--json",
    ];
    let of_images = json(bench.run("probe", &options));
    let of_features = json(bench.run_on("probe", [&train, &test], &options));
    assert_eq!(of_images, of_features);
    assert_eq!(of_images["backbones"][0][1][0]["labels"], "2/class");
    assert_eq!(
        of_images["backbones"][0][1][0]["accuracies"]
            .as_array()
            .unwrap()
            .len(),
        16 // The preset's draws of few labels.
    );
}

#[test]
fn random_crops_are_the_same_every_time_and_not_the_center_crop() {
    let bench = Bench::new();
    let probe = |crops| json(bench.run("probe", &["--labels", "100%", "--json", "--crops", crops]));
    let two = probe("2");
    assert_eq!(two, probe("2"));
    let accuracies = |found: &serde_json::Value| found["backbones"][0][1].clone();
    let of_center = accuracies(&probe("center"));
    // With thirty test images, one number could be the same by chance.
    let others = ["1", "3"].map(|crops| accuracies(&probe(crops)));
    assert!(
        others
            .iter()
            .chain([&accuracies(&two)])
            .any(|found| *found != of_center)
    );
    let [train, test] = bench.features();
    let options = ["--crops", "2", "--output", "out"];
    let result = bench.run_on("probe", [&train, &test], &options);
    assert_rejected(
        &result,
        &bench.path("out"),
        &["--crops is 2", "have no crops"],
    );
}

#[test]
fn a_list_says_which_labels_are_seen() {
    let bench = Bench::new();
    // All images, in a list with Windows line ends: the same probe as with 100% of the labels.
    let all: String = (0..TRAIN).map(|image| format!("{image}\r\n")).collect();
    std::fs::write(bench.path("all.txt"), format!("\u{feff}{all}")).unwrap();
    let one_each: String = (0..10).map(|image| format!("{image}\n")).collect();
    std::fs::write(bench.path("ten.txt"), one_each).unwrap();
    let labels = "list:all.txt,list:ten.txt,100%";
    let found = json(bench.run("probe", &["--labels", labels, "--json", "--output", "out"]));
    let probes = found["backbones"][0][1].as_array().unwrap();
    assert_eq!(probes[0]["labels"], "list:all.txt");
    assert_eq!(probes[0]["accuracies"], probes[2]["accuracies"]);
    assert_ne!(probes[0]["accuracies"], probes[1]["accuracies"]);
    let csv = std::fs::read_to_string(bench.path("out/predictions-backbone.csv")).unwrap();
    let header = "image,label,list:all.txt draw 0,list:ten.txt draw 0,100% draw 0\n";
    assert!(csv.starts_with(header), "{csv}");
}

#[test]
fn labels_that_cannot_be_had_are_rejected() {
    let bench = Bench::new();
    std::fs::write(bench.path("bad.txt"), "0\n60\n").unwrap();
    std::fs::write(bench.path("empty.txt"), "\n").unwrap();
    // Class 9 has test images, but none on the list.
    std::fs::write(bench.path("nine.txt"), "0\n1\n2\n3\n4\n5\n6\n7\n8\n").unwrap();
    for (labels, part) in [
        ("list:bad.txt", "60, which does not exist, in line 2"),
        ("list:empty.txt", "empty.txt"),
        ("list:nowhere.txt", "nowhere.txt"),
        ("list:nine.txt", "no labeled training image"),
        ("7/class", "class"),
    ] {
        let result = bench.run("probe", &["--labels", labels, "--output", "out"]);
        let message = text(&result.stderr);
        assert!(
            !result.status.success() && message.contains(part),
            "{message}"
        );
        assert!(!bench.path("out").exists());
    }
}

#[test]
fn images_of_one_class_or_without_labels_cannot_be_evaluated() {
    let bench = Bench::new();
    write_photos(&bench.path("one/cat"), 4, &["grey.jpg"]);
    write_photos(&bench.path("flat"), 4, &["grey.jpg"]);
    photo_plan(bench.folder.path(), Path::new("one")); // writes the checkpoint
    for (folder, part) in [("one", "class"), ("flat", "label")] {
        for command in ["probe", "knn"] {
            let mut program = program();
            program.args([
                command,
                "--checkpoint",
                "swav.safetensors",
                "--data",
                folder,
            ]);
            let result = bench.finish(&mut program);
            let message = text(&result.stderr);
            let last = message.lines().last().unwrap();
            assert!(!result.status.success(), "{message}");
            assert!(last.contains("error") && last.contains(part), "{message}");
        }
    }
}

#[test]
fn predictions_are_compared_as_their_backbones_were() {
    let bench = Bench::new();
    let other = Path::new(env!("CARGO_MANIFEST_DIR"));
    let other = other.join("checkpoints/vicreg_fashion_mnist.safetensors");
    let checkpoint = Path::new(CHECKPOINT);
    let options = ["--data", "images", "--labels", "1/class,100%", "--json"];
    let compared = json(bench.compare(checkpoint, &other, &options));
    let folder = bench.path("runs/compare");
    let [before, after] =
        ["before", "after"].map(|name| folder.join(format!("predictions-{name}.csv")));
    let of_files = json(bench.compare(&before, &after, &["--json", "--output", "again"]));
    assert_eq!(compared["comparisons"], of_files);
    let row = &of_files[0]["draws"][0];
    for field in [
        "accuracy_before",
        "interval_95",
        "mcnemar",
        "permutation",
        "cohens_d",
    ] {
        assert!(!row[field].is_null(), "no {field} in {row}");
    }
    assert!(of_files[0]["over_draws"]["p_value"].is_number());
    assert!(of_files[1]["over_draws"].is_null(), "100% is one draw");
    for file in [folder.join("report.html"), bench.path("again/report.html")] {
        let report = std::fs::read_to_string(file).unwrap();
        assert!(report.contains("chi^2") && report.contains("1/class, draw 3"));
    }
    let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(report.contains("Distances to neighbors") && report.contains("before: overlap 0."));
    assert!(report.contains("Accuracy over the epochs of the probes"));
    assert!(compared["neighbor_overlap"]["after"].is_number());

    let csv = std::fs::read_to_string(&after).unwrap();
    let mut lines: Vec<&str> = csv.lines().collect();
    lines.swap(1, 2);
    let swapped = bench.path("swapped.csv");
    std::fs::write(&swapped, lines.join("\n")).unwrap();
    let shorter = bench.path("shorter.csv");
    std::fs::write(&shorter, lines[..20].join("\n")).unwrap();
    let knn = bench.path("knn");
    printed(bench.run("knn", &["--k", "3", "--output", knn.to_str().unwrap()]));
    let out = bench.path("out");
    for (file, parts) in [
        (&swapped, ["swapped.csv", "same images in the same order"]),
        (
            &shorter,
            ["shorter.csv", "19 images where the other has 30"],
        ),
        (
            &knn.join("predictions-knn.csv"),
            ["predictions-knn.csv", "none in common"],
        ),
        (&bench.path("none.csv"), ["none.csv", "cannot be read"]),
        (
            &checkpoint.to_path_buf(),
            ["--after", ".csv file of predictions"],
        ),
    ] {
        let result = bench.compare(&before, file, &["--output", "out"]);
        assert_rejected(&result, &out, &parts);
    }
}

/// A folder like VOC2007, with all twenty classes in every second image and one difficult object.
fn write_voc(root: &Path) {
    const CLASSES: [&str; 20] = [
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ];
    write_photos(
        &root.join("JPEGImages"),
        8,
        &["grey.jpg", "baseline_420.jpg"],
    );
    for folder in ["Annotations", "ImageSets/Main"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let mut ids = Vec::new();
    for (i, kind) in ["grey", "baseline_420"].iter().cycle().take(8).enumerate() {
        let id = format!("{i:03}-{kind}");
        let objects: String = CLASSES
            .iter()
            .filter(|&&class| i % 2 == 0 || (i == 7 && class == "cat"))
            .map(|class| {
                let difficult = u8::from(i == 7);
                format!("<object><name>{class}</name><difficult>{difficult}</difficult></object>")
            })
            .collect();
        let xml = format!("<annotation>{objects}</annotation>");
        std::fs::write(root.join(format!("Annotations/{id}.xml")), xml).unwrap();
        ids.push(id);
    }
    for part in ["trainval", "test"] {
        let list = root.join(format!("ImageSets/Main/{part}.txt"));
        std::fs::write(list, ids.join("\r\n")).unwrap();
    }
}

#[test]
fn svms_tell_the_images_of_voc_apart() {
    let bench = Bench::new();
    photo_plan(bench.folder.path(), Path::new("voc")); // writes the checkpoint
    write_voc(&bench.path("voc/VOCdevkit/VOC2007"));
    let svm = |arguments: &[&str]| {
        let mut program = program();
        program.args([
            "svm",
            "--checkpoint",
            "swav.safetensors",
            "--crop-size",
            "32",
        ]);
        bench.finish(program.args(arguments))
    };
    let options = ["--data", "voc", "--json", "--output", "out"];
    let found = json(svm(&options));
    // Half of the images are copies of one photograph, the other half of another.
    assert_eq!(found["result"]["mean_average_precision"], 1.0);
    assert_eq!(found["result"]["mean_eleven_point"], 1.0);
    assert_eq!(found["classes"][7], "cat");
    let csv = std::fs::read_to_string(bench.path("out/scores.csv")).unwrap();
    assert!(csv.starts_with("image,aeroplane,bicycle,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 8);
    assert!(bench.path("out/results.json").exists());
    let table = printed(svm(&[
        "--data",
        "voc/VOCdevkit/VOC2007",
        "--costs",
        "0.1,1",
    ]));
    assert!(
        table.contains("tvmonitor") && table.contains("100.00"),
        "{table}"
    );

    // Two positive images are too few for three folds.
    let list = bench.path("voc/VOCdevkit/VOC2007/ImageSets/Main/trainval.txt");
    std::fs::write(
        list,
        "000-grey\n002-grey\n001-baseline_420\n003-baseline_420\n",
    )
    .unwrap();
    for (options, part) in [
        (&["--data", "voc"][..], "2 training images show class 0"),
        (&["--data", "voc", "--costs", "1,0.1"], "--costs"),
        (&["--data", "images"], "trainval.txt"),
        (&[], "--data is not given"),
    ] {
        let result = svm(options);
        let message = text(&result.stderr);
        assert!(
            !result.status.success() && message.contains(part),
            "{part}: {message}"
        );
        assert!(!message.contains("panicked"), "{message}");
    }
}
