//! Images in memory, and the files that are read into it whole.

use std::fs;

use e2mc_data::ImageSet;
use e2mc_data::Photo;
use e2mc_data::source::{ImageSource, cifar};

use crate::write;

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
