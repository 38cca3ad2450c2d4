//! Features written to a file as they are computed.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::{EvalError, FeatureFile, StoredFeatures, batch_size_for_memory, extract_to_file};
use e2mc_resnet::{BlockKind, Checkpoint, ResNet, ResNetConfig, Stem};

fn backbone(device: &Device) -> ResNet {
    device.seed(0);
    ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(4)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 1,
        })
        .init(device)
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class/{i} ä.jpg")).collect()
}

fn images(from: usize, to: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (from * 192..to * 192)
        .map(|i| (i * i % 97) as f32 / 97.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [to - from, 3, 8, 8]), device)
}

#[test]
fn a_file_holds_features_labels_and_names_in_the_order_of_the_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let device = Device::flex();
    let backbone = backbone(&device);
    let classes = ["a".to_string(), "b \"quoted\"".to_string()];
    for batch in [5, 2] {
        let mut file =
            FeatureFile::create(&path, &names(5), Some(&[0, 1, 1, 0, 1]), &classes, 32).unwrap();
        let mut seen = Vec::new();
        let batches = (0..5usize)
            .step_by(batch)
            .map(|i| Ok::<_, EvalError>(images(i, 5.min(i + batch), &device)));
        extract_to_file(&backbone, batches, &mut file, |done| seen.push(done)).unwrap();
        file.finish().unwrap();
        assert_eq!(seen.last(), Some(&5));
    }
    // The second replaced the first, and nothing else is left.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let file = Checkpoint::open(&path).unwrap();
    assert_eq!(file.shape("features"), Some(vec![5, 32]));
    let found = file
        .read("features")
        .unwrap()
        .try_into_vec::<f32>()
        .unwrap();
    let expected: Vec<f32> = backbone
        .forward(images(0, 5, &device))
        .into_data()
        .iter()
        .collect();
    for (found, expected) in found.iter().zip(expected) {
        // Other shapes may sum in another order.
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0));
    }
    let labels = file.read("labels").unwrap().try_into_vec::<i64>().unwrap();
    assert_eq!(labels, [0, 1, 1, 0, 1]);
    let joined = file
        .read("file_names")
        .unwrap()
        .try_into_vec::<u8>()
        .unwrap();
    let joined = String::from_utf8(joined).unwrap();
    assert_eq!(joined.split('\0').collect::<Vec<_>>(), names(5));
}

/// Writes features of four images in three dimensions.
fn write(path: &Path) {
    let classes = ["a".to_string(), "b \"quoted\"".to_string()];
    let mut file = FeatureFile::create(path, &names(4), Some(&[0, 1, 1, 0]), &classes, 3).unwrap();
    let values: Vec<f32> = (0..12).map(|i| i as f32 / 7.0 - 0.5).collect();
    file.append(&values[..6]).unwrap();
    file.append(&values[6..]).unwrap();
    file.finish().unwrap();
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    write(&path);
    let stored = StoredFeatures::read(&path).unwrap();
    let values: Vec<f32> = (0..12).map(|i| i as f32 / 7.0 - 0.5).collect();
    assert_eq!(stored.features.values(), values);
    assert_eq!(stored.features.labels(), [0, 1, 1, 0]);
    assert_eq!((stored.features.dims(), stored.features.classes()), (3, 2));
    assert_eq!(stored.names, names(4));
    assert_eq!(stored.classes, ["a", "b \"quoted\""]);
}

#[test]
fn more_than_one_piece_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let (n, dims) = (700, 1001);
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
    let classes = ["a".to_string(), "b".to_string()];
    let values: Vec<f32> = (0..n * dims).map(|i| i as f32).collect();
    let mut file = FeatureFile::create(&path, &names(n), Some(&labels), &classes, dims).unwrap();
    file.append(&values).unwrap();
    file.finish().unwrap();
    let stored = StoredFeatures::read(&path).unwrap();
    assert_eq!(stored.features.values(), values);
    assert_eq!(stored.features.labels(), labels);
}

#[test]
fn equal_contents_give_equal_bytes_whatever_a_killed_process_left() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["1", "2"].map(|name| folder.path().join(name));
    write(&first);
    std::fs::write(folder.path().join("2.tmp"), vec![7; 100_000]).unwrap();
    write(&second);
    assert_eq!(
        std::fs::read(&first).unwrap(),
        std::fs::read(&second).unwrap()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    let damaged = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match StoredFeatures::read(&path).unwrap_err() {
            EvalError::DamagedFile { problem, .. } => problem,
            other => panic!("{other}"),
        }
    };
    // Truncated anywhere, or with extra bytes.
    for length in 0..whole.len() {
        damaged(&whole[..length]);
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(damaged(&longer).contains("where its header announces"));
    // The lengths fit, the values do not.
    let start = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    assert!(damaged(&with(start, &2i64.to_le_bytes())).contains("label of image 0 is 2"));
    assert!(damaged(&with(start, &(-1i64).to_le_bytes())).contains("label is out of range"));
    let nan = with(start + 4 * 8 + 5 * 4, &f32::NAN.to_le_bytes());
    assert!(damaged(&nan).contains("feature 2 of image 1 is NaN"));
    assert!(damaged(&with(whole.len() - 1, &[0])).contains("5 names"));
    assert!(damaged(&with(whole.len() - 1, &[0xff])).contains("UTF-8"));
    assert!(damaged(&with(0, &u64::MAX.to_le_bytes())).contains("longer than the file"));
    // The header in another type, or of another file.
    let text = String::from_utf8_lossy(&whole[8..start]).into_owned();
    let header = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        damaged(&with(8, changed.as_bytes()))
    };
    assert!(header("F32", "I32").contains("`features` is I32"));
    assert!(header("[4,3]", "[3,4]").contains("features of 3 images, 4 labels and 4 names"));
    assert!(header("features", "Features").contains("no tensor `features`"));
    assert!(header("\"classes\"", "\"Classes\"").contains("names no classes"));
    header("[4,3]", "[4,4]");
    header("{", "[");

    std::fs::write(&path, &whole).unwrap();
    assert!(StoredFeatures::read(&path).is_ok());
    let error = StoredFeatures::read(folder.path().join("none")).unwrap_err();
    assert!(matches!(error, EvalError::Read { .. }), "{error}");
}

#[test]
fn images_without_labels_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let mut file = FeatureFile::create(&path, &names(2), None, &[], 1).unwrap();
    file.append(&[1.0, 2.0]).unwrap();
    file.finish().unwrap();
    let file = Checkpoint::open(&path).unwrap();
    assert_eq!(file.shape("labels"), None);
    assert_eq!(file.shape("features"), Some(vec![2, 1]));
    let error = StoredFeatures::read(&path).unwrap_err();
    assert!(matches!(error, EvalError::NoLabels { .. }), "{error}");
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let create = |names: &[String], labels: Option<&[u32]>| {
        FeatureFile::create(&path, names, labels, &[], 2)
    };
    assert!(matches!(create(&[], None), Err(EvalError::Empty { .. })));
    assert!(matches!(
        create(&names(2), Some(&[0])),
        Err(EvalError::RowCount { .. })
    ));
    assert!(matches!(
        create(&names(2), Some(&[0, 1])),
        Err(EvalError::LabelOutOfRange { row: 0, .. })
    ));
    let mut file = create(&names(2), None).unwrap();
    file.append(&[0.0, 1.0]).unwrap();
    let error = file.append(&[0.0, f32::NAN]).unwrap_err().to_string();
    assert!(error.contains("feature 1 of image 1 is NaN"), "{error}");
    drop(file);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = FeatureFile::create("no/such/folder/f", &names(1), None, &[], 2).unwrap_err();
    assert!(
        error.to_string().contains("cannot write no/such/folder/f"),
        "{error}"
    );
}

#[test]
#[should_panic(expected = "rows are missing")]
fn a_file_without_all_rows_cannot_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let _ = FeatureFile::create(path, &names(2), None, &[], 2)
        .unwrap()
        .finish();
}

#[test]
fn the_batch_size_falls_with_the_size_of_the_images() {
    let backbone = backbone(&Device::flex());
    assert_eq!(batch_size_for_memory(&backbone, 28, 28), 64);
    assert_eq!(batch_size_for_memory(&backbone, 1 << 20, 1 << 20), 1);
}
