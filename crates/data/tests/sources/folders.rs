//! Folders of images, and ImageNet's lists.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2mc_data::Photo;
use e2mc_data::decode::DecodeError;
use e2mc_data::source::{ImageFolder, ImageSource, ScanOptions, Subset, imagenet};
use e2mc_data::{DataError, class_balanced_subset};

use crate::{golden, open, paths, reference, settle, tree, write};

#[test]
fn folder_order_is_torchvisions() {
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(reference("image_folder.json")).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for name in expected["tree"].as_array().unwrap() {
        write(dir.path(), name.as_str().unwrap(), b"");
    }
    let folder = open(dir.path());
    assert_eq!(serde_json::json!(folder.classes()), expected["classes"]);
    let samples: Vec<_> = paths(&folder)
        .into_iter()
        .zip(folder.labels().unwrap().to_vec())
        .collect();
    assert_eq!(serde_json::json!(samples), expected["samples"]);
    assert!(folder.problems().is_empty());

    let flat = ImageFolder::open_flat(dir.path(), &ScanOptions::new()).unwrap();
    assert_eq!(flat.len(), folder.len() + 1);
    assert_eq!(flat.path(0), "0.jpg");
    assert_eq!(flat.labels(), None);
}

#[test]
fn a_bad_file_is_an_error_that_names_it_and_the_others_are_read() {
    let dir = tree();
    let folder = open(dir.path());
    let mut photo = Photo::default();
    for index in 0..3 {
        folder.read(index, &mut photo).unwrap();
    }
    let error = folder.read(3, &mut photo).unwrap_err();
    assert!(matches!(
        &error,
        DataError::Image {
            problem: DecodeError::Truncated,
            ..
        }
    ));
    let message = error.to_string();
    assert!(
        message.contains("dog/bad.jpg") && message.contains("replace or remove"),
        "{message}"
    );
}

#[test]
fn a_class_without_images_keeps_its_label_and_is_reported() {
    let dir = tree();
    fs::create_dir(dir.path().join("cow")).unwrap();
    write(dir.path(), "cow/readme.txt", b"");
    let folder = open(dir.path());
    assert_eq!(folder.classes(), ["cat", "cow", "dog"]);
    assert_eq!(folder.labels().unwrap(), [0, 0, 2, 2]);
    assert_eq!(folder.problems().len(), 1);
    assert!(folder.problems()[0].to_string().contains("cow"));
}

#[test]
fn a_folder_without_images_or_classes_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let message = |result: Result<ImageFolder, DataError>| result.unwrap_err().to_string();
    let options = ScanOptions::new();
    assert!(message(ImageFolder::open(dir.path(), &options)).contains("no class folder"));
    assert!(message(ImageFolder::open_flat(dir.path(), &options)).contains("no image"));
    fs::create_dir(dir.path().join("cat")).unwrap();
    assert!(message(ImageFolder::open(dir.path(), &options)).contains("no image"));
    let missing = dir.path().join("missing");
    assert!(message(ImageFolder::open(&missing, &options)).contains("missing"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let dir = tree();
    let other = tree();
    symlink(other.path().join("cat"), dir.path().join("linked")).unwrap();
    symlink(dir.path(), dir.path().join("dog/circle")).unwrap();
    symlink("nowhere", dir.path().join("dog/broken.jpg")).unwrap();
    let folder = open(dir.path());
    assert_eq!(folder.classes(), ["cat", "dog", "linked"]);
    assert_eq!(folder.len(), 7);
    assert_eq!(folder.problems().len(), 1);
    assert!(folder.problems()[0].to_string().contains("circle"));
    let broken = paths(&folder)
        .iter()
        .position(|path| path == "dog/broken.jpg")
        .unwrap();
    let error = folder.read(broken, &mut Photo::default()).unwrap_err();
    assert!(matches!(&error, DataError::Read { path, .. } if path.ends_with("dog/broken.jpg")));
}

#[cfg(unix)]
#[test]
fn a_pipe_named_as_an_image_does_not_block() {
    let dir = tree();
    let pipe = dir.path().join("cat/pipe.jpg");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        assert_eq!(open(dir.path()).len(), 4);
        fs::remove_file(dir.path().join("cat/1.jpg")).unwrap();
        std::os::unix::fs::symlink(&pipe, dir.path().join("cat/1.jpg")).unwrap();
        let error = open(dir.path()).read(0, &mut Photo::default()).unwrap_err();
        assert!(error.to_string().contains("regular file"));
    }
}

#[test]
fn the_list_of_files_is_kept_until_a_folder_changes() {
    let (dir, run) = (tree(), tempfile::tempdir().unwrap());
    settle(dir.path());
    let cache = run.path().join("images.json");
    let scan = || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let options = ScanOptions::new()
            .with_cache(&cache)
            .with_progress(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            });
        let folder = ImageFolder::open(dir.path(), &options).unwrap();
        (
            paths(&folder),
            folder.labels().unwrap().to_vec(),
            calls.load(Ordering::Relaxed),
        )
    };
    let (files, labels, calls) = scan();
    assert_eq!((files.len(), calls), (4, 3));
    assert_eq!(scan(), (files.clone(), labels, 0), "taken from the cache");

    write(dir.path(), "dog/new.jpg", b"");
    let (more, _, calls) = scan();
    assert_eq!((more.len(), calls), (5, 3), "a new file is seen");
    assert_eq!(scan().2, 3, "a folder that has just changed is not trusted");
    settle(dir.path());
    assert_eq!((scan().2, scan().2), (3, 0));

    fs::write(&cache, b"{\"version\":1").unwrap();
    assert_eq!(scan().0, more, "a damaged cache is replaced");
    assert_eq!(scan().2, 0);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "nothing is written to the data"
    );
}

#[test]
fn imagenet_lists_and_balanced_subsets() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["n01", "n02"] {
        for number in 0..10 {
            write(
                dir.path(),
                &format!("train/{class}/{class}_{number}.JPEG"),
                &golden("grey.jpg"),
            );
        }
        write(
            dir.path(),
            &format!("val/{class}/val_{class}.JPEG"),
            &golden("grey.jpg"),
        );
    }
    let options = ScanOptions::new();
    let (train, val) = imagenet::open(dir.path(), &options, &options).unwrap();
    assert_eq!((train.len(), val.len()), (20, 2));

    let list = dir.path().join("1percent.txt");
    fs::write(&list, "n02_3.JPEG\nn01_0.JPEG\r\n\nn01/n01_2.JPEG").unwrap();
    let train = Arc::new(train);
    let indices = imagenet::listed(&train, &list).unwrap();
    assert_eq!(indices, [13, 0, 2]);
    let subset = Subset::new(train.clone(), indices);
    assert_eq!(subset.labels().unwrap(), [1, 0, 0]);
    assert_eq!(subset.image_name(0), "n02/n02_3.JPEG");
    subset.read(2, &mut Photo::default()).unwrap();
    for (text, found) in [
        (
            "n01_0.JPEG\nn03_0.JPEG",
            "n03_0.JPEG, which does not exist, in line 2",
        ),
        ("n01_0.JPEG\nn01/n01_0.JPEG", "a second time in line 2"),
        ("\n", "is empty"),
    ] {
        fs::write(&list, text).unwrap();
        let message = imagenet::listed(&train, &list).unwrap_err().to_string();
        assert!(message.contains(found), "{message}");
    }

    let drawn = class_balanced_subset(train.labels().unwrap(), 0.2, 0).unwrap();
    let subset = Subset::new(train, drawn);
    assert_eq!(subset.labels().unwrap(), [0, 0, 1, 1]);

    fs::rename(dir.path().join("val/n02"), dir.path().join("val/n03")).unwrap();
    let error = imagenet::open(dir.path(), &options, &options).unwrap_err();
    assert!(error.to_string().contains("n03"));
}
