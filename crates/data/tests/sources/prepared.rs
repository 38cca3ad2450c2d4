//! A prepared file.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2mc_data::DataError;
use e2mc_data::Photo;
use e2mc_data::source::{ImageSource, Prepared};

use crate::{open, tree};

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
fn a_damaged_prepared_file_is_rejected() {
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
        // A wrong bit anywhere is detected on opening or on reading an image.
        let found = Prepared::open(&path)
            .and_then(|prepared| (0..3).try_for_each(|index| prepared.read(index, &mut photo)));
        assert!(
            matches!(found, Err(DataError::Prepared { .. })),
            "byte {place}: {found:?}"
        );
    }
}
