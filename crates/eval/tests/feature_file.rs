//! Features written as they are computed.

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::{EvalError, FeatureFile, batch_size_for_memory, extract_to_file};
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
        // Other shapes may add up in another order.
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
