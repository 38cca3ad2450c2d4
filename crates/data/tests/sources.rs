//! The sources: order and labels as torchvision's, damaged data as errors that name the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use e2mc_data::decode::{DecodeError, DecodeLimits};
use e2mc_data::source::{
    DataSet, FolderLayout, INaturalist2018, ImageFolder, ImageSource, Photo, Prepared, Presence,
    ScanOptions, Subset, Voc2007, cifar, imagenet,
};
use e2mc_data::{DataError, ImageSet, class_balanced_subset};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(name)
}

/// Writes a file, and the folders it lies in.
fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(reference("decode").join(name)).unwrap()
}

/// Two classes with a JPEG and a PNG, and one with a truncated file.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "cat/1.jpg", &golden("baseline_420.jpg"));
    write(dir.path(), "cat/2.png", &golden("rgb_8.png"));
    write(dir.path(), "dog/1.jpg", &golden("grey.jpg"));
    write(dir.path(), "dog/bad.jpg", &golden("bad_truncated.jpg"));
    dir
}

fn open(root: &Path) -> ImageFolder {
    ImageFolder::open(root, &ScanOptions::new()).unwrap()
}

fn paths(folder: &ImageFolder) -> Vec<String> {
    (0..folder.len())
        .map(|index| folder.path(index).into())
        .collect()
}

/// Sets the time at which each folder changed back by a minute, so that it counts as settled.
fn settle(root: &Path) {
    let past = SystemTime::now() - Duration::from_secs(60);
    fs::File::open(root).unwrap().set_modified(past).unwrap();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            settle(&entry.path());
        }
    }
}

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
fn a_folder_without_images_or_classes_is_refused() {
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
            "n03_0.JPEG, which is not there, in line 2",
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

#[test]
fn images_in_memory_are_interleaved() {
    let set = ImageSet::new(
        "two",
        (0..24).collect(),
        [3, 2, 2],
        vec![0, 1],
        vec!["a".into(), "b".into()],
    )
    .unwrap();
    let mut photo = Photo::default();
    ImageSource::read(&set, 1, &mut photo).unwrap();
    assert_eq!(photo.shape(), [2, 2, 3]);
    assert_eq!(
        photo.pixels(),
        [12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23]
    );
}

#[test]
fn cifar_files() {
    let dir = tempfile::tempdir().unwrap();
    let images = |labels: &[&[u8]]| -> Vec<u8> {
        labels
            .iter()
            .flat_map(|label| {
                label
                    .iter()
                    .copied()
                    .chain((0..3072).map(|at| (at / 1024 * 100) as u8))
            })
            .collect()
    };
    for batch in 1..=5 {
        write(
            dir.path(),
            &format!("data_batch_{batch}.bin"),
            &images(&[&[batch], &[0]]),
        );
    }
    write(dir.path(), "test_batch.bin", &images(&[&[9]]));
    write(
        dir.path(),
        "batches.meta.txt",
        b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n",
    );
    let (train, test) = cifar::load_10(dir.path()).unwrap();
    assert_eq!(train.labels(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    assert_eq!((test.labels(), test.classes().len()), (&[9][..], 10));
    let mut photo = Photo::default();
    ImageSource::read(&test, 0, &mut photo).unwrap();
    assert_eq!(photo.pixels()[..6], [0, 100, 200, 0, 100, 200]);

    write(dir.path(), "train.bin", &images(&[&[3, 1], &[4, 0]]));
    write(dir.path(), "test.bin", &images(&[&[0, 2]]));
    write(dir.path(), "fine_label_names.txt", b"apple\nfish\nbaby");
    let (train, test) = cifar::load_100(dir.path()).unwrap();
    assert_eq!((train.labels(), test.labels()), (&[1, 0][..], &[2][..]));

    for (file, bytes, found) in [
        ("test.bin", images(&[&[0, 3]]), "label 3 at image 0"),
        ("test.bin", vec![0; 3073], "3073 bytes"),
        ("test.bin", vec![], "0 bytes"),
        ("fine_label_names.txt", vec![], "0 names"),
    ] {
        write(dir.path(), file, &bytes);
        let message = cifar::load_100(dir.path()).unwrap_err().to_string();
        assert!(
            message.contains(found) && message.contains(file),
            "{message}"
        );
    }
    fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
    assert!(
        cifar::load_10(dir.path())
            .unwrap_err()
            .to_string()
            .contains("test_batch.bin")
    );
}

#[test]
fn inaturalist_json() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "train_val2018/Aves/7/a.jpg",
        &golden("grey.jpg"),
    );
    let json = dir.path().join("train2018.json");
    let open = |text: &str| {
        fs::write(&json, text).unwrap();
        INaturalist2018::open(dir.path(), &json, DecodeLimits::default())
    };
    let good = r#"{"info": {"year": 2018}, "licenses": [],
        "images": [{"id": 5, "file_name": "train_val2018/Aves/7/a.jpg", "width": 1, "height": 1, "license": 3},
                   {"id": 2, "file_name": "train_val2018/Aves/3/b.jpg", "width": 1, "height": 1, "license": 3}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 3}, {"id": 0, "image_id": 5, "category_id": 7}],
        "categories": [{"id": 7, "name": "7", "supercategory": "Aves"}, {"id": 3, "name": "3", "supercategory": "Aves"}]}"#;
    let source = open(good).unwrap();
    assert_eq!(source.labels().unwrap(), [1, 0]);
    assert_eq!(source.classes(), ["3", "7"]);
    let mut photo = Photo::default();
    source.read(0, &mut photo).unwrap();
    assert!(
        source
            .read(1, &mut photo)
            .unwrap_err()
            .to_string()
            .contains("b.jpg")
    );
    for (text, found) in [
        (
            good.replace("\"category_id\": 7", "\"category_id\": 8"),
            "category 8",
        ),
        (
            good.replace("\"image_id\": 5", "\"image_id\": 2"),
            "several categories of image 2",
        ),
        (
            good.replace("\"image_id\": 5", "\"image_id\": 6"),
            "no category of image 5",
        ),
        (good.replace("\"id\": 7", "\"id\": 3"), "category 3 twice"),
        (
            good.replace("train_val2018/Aves/7/a.jpg", "../a.jpg"),
            "leads out",
        ),
        (
            good.replace("train_val2018/Aves/7/a.jpg", "/etc/passwd"),
            "leads out",
        ),
        (good[..200].into(), "EOF"),
        ("[]".into(), "expected the JSON list of iNaturalist"),
    ] {
        let message = open(&text).unwrap_err().to_string();
        assert!(
            message.contains(found) && message.contains("train2018.json"),
            "{message}"
        );
    }
}

#[test]
fn pascal_voc_keeps_difficult_objects_apart() {
    let dir = tempfile::tempdir().unwrap();
    let object = |name: &str, difficult: u8| {
        format!(
            "<object><name>{name}</name><pose>Left</pose><difficult>{difficult}</difficult>\
             <part><name>head</name></part></object>"
        )
    };
    let annotation =
        |objects: &str| format!("<annotation><filename>x</filename>{objects}</annotation>");
    let both =
        object("dog", 1) + &object("dog", 0) + &object("person", 1) + &object("tvmonitor", 0);
    write(
        dir.path(),
        "Annotations/000005.xml",
        annotation(&both).as_bytes(),
    );
    write(
        dir.path(),
        "Annotations/000007.xml",
        annotation("").as_bytes(),
    );
    write(
        dir.path(),
        "JPEGImages/000005.jpg",
        &golden("baseline_444.jpg"),
    );
    write(
        dir.path(),
        "ImageSets/Main/trainval.txt",
        b"000005\n000007\n",
    );
    let open = || Voc2007::open(dir.path(), "trainval", DecodeLimits::default());
    let voc = open().unwrap();
    let class = |name: &str| {
        voc.classes()
            .iter()
            .position(|class| class == name)
            .unwrap()
    };
    let first = voc.presence()[0];
    assert_eq!(first[class("dog")], Presence::Present);
    assert_eq!(first[class("person")], Presence::Difficult);
    assert_eq!(first[class("tvmonitor")], Presence::Present);
    assert_eq!(
        first
            .iter()
            .filter(|found| **found == Presence::Absent)
            .count(),
        17
    );
    assert_eq!(voc.presence()[1], [Presence::Absent; 20]);
    assert_eq!(voc.labels(), None);
    assert_eq!(voc.image_name(1), "JPEGImages/000007.jpg");
    voc.read(0, &mut Photo::default()).unwrap();

    for (xml, found) in [
        (annotation(&object("dragon", 0)), "dragon"),
        (annotation("<object><pose/></object>"), "without a name"),
        ("<annotation>".into(), "000007.xml"),
        ("<html/>".into(), "<html>"),
    ] {
        write(dir.path(), "Annotations/000007.xml", xml.as_bytes());
        let message = open().unwrap_err().to_string();
        assert!(
            message.contains(found) && message.contains("000007.xml"),
            "{message}"
        );
    }
    write(
        dir.path(),
        "ImageSets/Main/trainval.txt",
        b"../../etc/passwd\n",
    );
    assert!(open().unwrap_err().to_string().contains("trainval.txt"));
}

#[test]
fn prepared_images_are_the_sources() {
    let (dir, run) = (tree(), tempfile::tempdir().unwrap());
    let folder = open(dir.path());
    let path = run.path().join("images.e2mc");
    let done = AtomicUsize::new(0);
    let prepared = Prepared::create(&path, &folder, &|count| {
        done.store(count, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(done.into_inner(), 4);
    assert_eq!(
        fs::read_dir(run.path()).unwrap().count(),
        1,
        "no temporary file is left"
    );
    assert_eq!((prepared.len(), prepared.labels()), (4, folder.labels()));
    assert_eq!(prepared.classes(), folder.classes());
    assert_eq!(prepared.unreadable().collect::<Vec<_>>(), [3]);
    let (mut ours, mut theirs) = (Photo::default(), Photo::default());
    for index in 0..3 {
        prepared.read(index, &mut ours).unwrap();
        folder.read(index, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(prepared.image_name(index), folder.image_name(index));
    }
    let message = prepared.read(3, &mut ours).unwrap_err().to_string();
    assert!(
        message.contains("dog/bad.jpg") && message.contains("truncated"),
        "{message}"
    );

    Prepared::open_for(&path, &folder).unwrap();
    fs::remove_file(dir.path().join("dog/bad.jpg")).unwrap();
    let message = Prepared::open_for(&path, &open(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(message.contains("other images"), "{message}");

    assert!(matches!(
        Prepared::create(&run.path().join("missing/images"), &folder, &|_| {}),
        Err(DataError::Write { .. })
    ));
}

#[test]
fn a_damaged_prepared_file_is_refused() {
    let (dir, run) = (tree(), tempfile::tempdir().unwrap());
    let path = run.path().join("images.e2mc");
    drop(Prepared::create(&path, &open(dir.path()), &|_| {}).unwrap());
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len())
        .step_by(whole.len() / 97)
        .chain([whole.len() - 1])
    {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(Prepared::open(&path), Err(DataError::Prepared { .. })),
            "{length} bytes"
        );
    }
    let mut photo = Photo::default();
    let places = (0..80).chain((80..whole.len()).step_by(whole.len() / 211));
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        // Wherever a bit is wrong, opening or reading one of the images says so.
        let found = Prepared::open(&path)
            .and_then(|prepared| (0..3).try_for_each(|index| prepared.read(index, &mut photo)));
        assert!(
            matches!(found, Err(DataError::Prepared { .. })),
            "byte {place}: {found:?}"
        );
    }
}

#[test]
fn what_a_folder_is_shows_in_its_names() {
    let layout = |names: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| write(dir.path(), name, b""));
        FolderLayout::of(dir.path()).unwrap()
    };
    let idx = "train-images-idx3-ubyte.gz";
    assert_eq!(layout(&[idx, "a.jpg"]), FolderLayout::FashionMnist);
    let val = FolderLayout::TrainAnd("val");
    assert_eq!(layout(&["train/a/1.jpg", "val/a/1.jpg"]), val);
    assert_eq!(layout(&["train/a/1.jpg", "val/a/1.jpg", "test/1.jpg"]), val);
    let test = FolderLayout::TrainAnd("test");
    assert_eq!(layout(&["train/a/1.jpg", "test/a/1.jpg", "0.jpg"]), test);
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
