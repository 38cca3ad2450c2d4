//! Folders and lists as people have them, after public bug reports.

use std::collections::BTreeSet;
use std::path::Path;

use e2mc_data::source::{DataSet, ImageFolder, ImageSource, ScanOptions, imagenet};
use e2mc_data::{DataError, class_balanced_count};
use proptest::prelude::*;

use crate::{golden, write};

fn images(root: &Path, folder: &str, count: usize) {
    for i in 0..count {
        write(
            root,
            &format!("{folder}/{i:02}.jpg"),
            &golden("baseline_420.jpg"),
        );
    }
}

fn open(root: &Path) -> Result<DataSet, DataError> {
    DataSet::open(root, |_| ScanOptions::new())
}

fn rejected(root: &Path) -> String {
    match open(root) {
        Ok(set) => panic!("{}", set.summary()),
        Err(error) => error.to_string(),
    }
}

fn sizes(set: &DataSet) -> [usize; 2] {
    [
        set.train.len(),
        set.test.as_ref().map_or(0, |test| test.len()),
    ]
}

#[test]
fn names_of_parts_are_not_taken_for_classes() {
    for second in ["valid", "validation", "Val", "testing", "eval"] {
        let dir = tempfile::tempdir().unwrap();
        for class in ["cat", "dog"] {
            images(dir.path(), &format!("train/{class}"), 3);
            images(dir.path(), &format!("{second}/{class}"), 1);
        }
        let set = open(dir.path()).unwrap();
        assert_eq!(set.train.classes(), ["cat", "dog"], "{second}");
        assert_eq!(sizes(&set), [6, 2], "{second}");
        let lines = set.summary().lines().join("\n");
        assert!(lines.contains(second) && lines.contains("cat"), "{lines}");
    }
}

#[test]
fn a_folder_train_beside_unknown_folders_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "train/cat", 2);
    images(dir.path(), "train/dog", 2);
    images(dir.path(), "holdout/cat", 2);
    let message = rejected(dir.path());
    assert!(message.contains("holdout"), "{message}");
}

#[test]
fn train_alone_is_split_and_one_class_cannot_be_probed() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "train/cat", 10);
    images(dir.path(), "train/dog", 10);
    let set = open(dir.path()).unwrap();
    assert_eq!(sizes(&set), [16, 4]);
    assert_eq!(set.train.classes(), ["cat", "dog"]);
    assert_eq!(set.summary().probe_problem(), None);

    let one = tempfile::tempdir().unwrap();
    images(one.path(), "cat", 10);
    let set = open(one.path()).unwrap();
    let problem = set.summary().probe_problem().unwrap();
    assert!(problem.contains("class"), "{problem}");
}

#[test]
fn a_class_of_one_picture_stays_in_training_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "cat", 10);
    images(dir.path(), "dog", 10);
    images(dir.path(), "okapi", 1);
    let set = open(dir.path()).unwrap();
    assert_eq!(sizes(&set), [17, 4]);
    let notes: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
    assert!(notes.join(" ").contains("okapi"), "{notes:?}");
    let labels = set.train.labels().unwrap();
    let classes = set.train.classes();
    let error = class_balanced_count(labels, classes, 2, 0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("okapi"), "{error}");
}

#[test]
fn what_tools_leave_behind_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "cat", 5);
    images(dir.path(), "dog", 5);
    for name in [
        "cat/._00.jpg",
        "cat/Thumbs.db",
        "dog/.DS_Store",
        "dog/desktop.ini",
        "__MACOSX/cat/._00.jpg",
        ".ipynb_checkpoints/00-checkpoint.jpg",
        "@eaDir/00.jpg",
    ] {
        write(dir.path(), name, b"left behind");
    }
    let set = open(dir.path()).unwrap();
    assert_eq!(set.train.classes(), ["cat", "dog"]);
    assert_eq!(sizes(&set), [8, 2]);
    let left_out: usize = set.summary().left_out.values().sum();
    assert_eq!(left_out, 7, "{}", set.summary());
}

#[test]
fn tiny_imagenets_own_layout_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["n01", "n02"] {
        images(dir.path(), &format!("train/{class}/images"), 3);
        write(
            dir.path(),
            &format!("train/{class}/{class}_boxes.txt"),
            b"00.jpg 0 0 1 1",
        );
    }
    images(dir.path(), "val/images", 2);
    let list = b"00.jpg\tn02\t0\t0\t1\t1\n01.jpg\tn01\t0\t0\t1\t1\n";
    write(dir.path(), "val/val_annotations.txt", list);
    let set = open(dir.path()).unwrap();
    assert_eq!(sizes(&set), [6, 2]);
    assert_eq!(set.train.classes(), ["n01", "n02"]);
    assert_eq!(set.test.unwrap().labels().unwrap(), [1, 0]);
}

#[test]
fn idx_files_with_dots_are_read_and_a_missing_one_is_named() {
    let idx = |magic: u8, shape: &[u32], values: usize| {
        let shape = shape.iter().flat_map(|side| side.to_be_bytes());
        let bytes = [0, 0, 8, magic].into_iter().chain(shape);
        bytes
            .chain(std::iter::repeat_n(0, values))
            .collect::<Vec<u8>>()
    };
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "t10k"] {
        let pictures = idx(3, &[2, 28, 28], 2 * 28 * 28);
        write(dir.path(), &format!("{part}-images.idx3-ubyte"), &pictures);
        write(
            dir.path(),
            &format!("{part}-labels.idx1-ubyte"),
            &idx(1, &[2], 2),
        );
    }
    assert_eq!(sizes(&open(dir.path()).unwrap()), [2, 2]);
    std::fs::remove_file(dir.path().join("t10k-labels.idx1-ubyte")).unwrap();
    let message = rejected(dir.path());
    assert!(message.contains("t10k-labels"), "{message}");
}

#[test]
fn lists_as_people_write_them() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "cat", 3);
    write(dir.path(), "dog/lone.jpg", &golden("baseline_420.jpg"));
    let folder = ImageFolder::open(dir.path(), &ScanOptions::new()).unwrap();
    let expected = [
        folder.path(2).to_string(),
        "dog/lone.jpg".to_string(),
        folder.path(0).to_string(),
    ];
    for text in [
        "\u{feff}cat/02.jpg\r\n\r\ndog/lone.jpg\r\ncat/00.jpg\r\n",
        "# half of it\n./cat/02.jpg\nlone.jpg\n./cat/00.jpg",
        "cat\\02.jpg 0\ndog\\lone.jpg 1\ncat\\00.jpg 0\n",
    ] {
        let list = dir.path().join("list.txt");
        std::fs::write(&list, text).unwrap();
        let chosen = imagenet::listed(&folder, &list).unwrap();
        let names: Vec<&str> = chosen.iter().map(|&i| folder.path(i)).collect();
        assert_eq!(names, expected, "{text:?}");
    }
}

#[test]
fn a_fingerprint_changes_with_the_images_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "cat", 5);
    images(dir.path(), "dog", 5);
    let fingerprint = || open(dir.path()).unwrap().train.fingerprint();
    let first = fingerprint();
    assert_eq!(fingerprint(), first);
    write(dir.path(), "dog/00.jpg", &golden("grey.jpg"));
    let changed = fingerprint();
    assert_ne!(changed, first);
    assert_eq!(changed.images, first.images);
    images(dir.path(), "dog", 6);
    assert_ne!(fingerprint().images, first.images);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_image_file_is_in_a_part_or_counted(
        counts in proptest::collection::vec(1usize..6, 2..5),
        second in proptest::option::of(prop_oneof![Just("val"), Just("Valid"), Just("test")]),
        junk in proptest::collection::vec(
            prop_oneof![Just("._0.jpg"), Just(".0.png"), Just("Thumbs.db"), Just("notes.txt")],
            0..4,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut written = BTreeSet::new();
        let parts: Vec<String> = match second {
            Some(second) => vec!["train/".into(), format!("{second}/")],
            None => vec![String::new()],
        };
        for part in &parts {
            for (class, count) in counts.iter().enumerate() {
                images(dir.path(), &format!("{part}class{class}"), *count);
                written.extend((0..*count).map(|i| format!("{part}class{class}/{i:02}.jpg")));
            }
        }
        let junk: BTreeSet<&str> = junk.into_iter().collect();
        for name in &junk {
            write(dir.path(), &format!("{}class0/{name}", parts[0]), b"left behind");
        }
        let set = open(dir.path()).unwrap();
        let [train, test] = sizes(&set);
        prop_assert_eq!(train + test, written.len());
        let left_out: usize = set.summary().left_out.values().sum();
        prop_assert_eq!(left_out, junk.len(), "{}", set.summary());
    }
}
