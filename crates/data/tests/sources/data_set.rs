//! The contents of a folder, and its test part.

use std::fs;
use std::path::Path;

use e2mc_data::source::{DataSet, FolderLayout, ImageSource, ScanOptions};

use crate::{golden, write};

#[test]
fn what_a_folder_is_shows_in_its_names() {
    let layout = |names: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| write(dir.path(), name, b""));
        FolderLayout::of(dir.path()).unwrap()
    };
    let idx = "train-images-idx3-ubyte.gz";
    assert_eq!(layout(&[idx, "a.jpg"]), FolderLayout::Idx);
    let parts = |train: &str, test: &str| FolderLayout::Parts {
        train: train.into(),
        test: test.into(),
    };
    let val = parts("train", "val");
    assert_eq!(layout(&["train/a/1.jpg", "val/a/1.jpg"]), val);
    assert_eq!(layout(&["train/a/1.jpg", "val/a/1.jpg", "test/1.jpg"]), val);
    let test = parts("train", "test");
    assert_eq!(layout(&["train/a/1.jpg", "test/a/1.jpg", "0.jpg"]), test);
    for name in ["valid", "Validation", "TESTING", "eval"] {
        let names = ["Train/a/1.jpg".to_string(), format!("{name}/a/1.jpg")];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(layout(&names), parts("Train", name));
    }
    assert_eq!(layout(&["train/1.jpg", "bus/1.jpg"]), FolderLayout::Classes);
    assert_eq!(layout(&["cat/1.jpg", "notes.txt"]), FolderLayout::Classes);
    assert_eq!(layout(&["cat/1.jpg", "0.JPG"]), FolderLayout::Flat);
    assert_eq!(layout(&["notes.txt"]), FolderLayout::Flat);
}

#[test]
fn a_data_set_has_a_part_for_the_test_where_there_are_labels() {
    let images = |root: &Path, classes: &[&str], count: usize| {
        for class in classes {
            for i in 0..count {
                let name = format!("{class}/{i:02}.jpg");
                write(root, &name, &golden("baseline_420.jpg"));
            }
        }
    };
    let open = |root: &Path| DataSet::open(root, |_| ScanOptions::new());

    let parts = tempfile::tempdir().unwrap();
    images(&parts.path().join("train"), &["cat", "dog"], 3);
    images(&parts.path().join("val"), &["cat", "dog"], 1);
    fs::create_dir(parts.path().join("val/cow")).unwrap();
    let message = open(parts.path()).err().unwrap().to_string();
    assert!(
        message.contains("val") && message.contains("cow"),
        "{message}"
    );
    fs::create_dir(parts.path().join("train/cow")).unwrap();
    let set = open(parts.path()).unwrap();
    assert_eq!((set.train.len(), set.test.unwrap().len()), (6, 2));
    let problems: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].contains("train/cow") && problems[1].contains("val/cow"));

    let classes = tempfile::tempdir().unwrap();
    images(classes.path(), &["cat", "dog"], 10);
    let set = open(classes.path()).unwrap();
    let test = set.test.unwrap();
    assert_eq!(test.labels().unwrap(), [0, 0, 1, 1]);
    assert_eq!((set.train.len(), test.classes().len()), (16, 2));
    let mut names: Vec<String> = (0..16).map(|i| set.train.image_name(i)).collect();
    names.extend((0..4).map(|i| test.image_name(i)));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 20, "an image is in both parts, or in none");
    let again = open(classes.path()).unwrap().test.unwrap();
    assert_eq!(again.image_name(3), test.image_name(3));

    let set = open(&classes.path().join("cat")).unwrap();
    assert!(set.test.is_none() && set.train.labels().is_none());
    assert_eq!(set.train.len(), 10);
}
