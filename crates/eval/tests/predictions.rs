//! Files of predictions, and comparisons made from them alone.

use e2mc_eval::{EvalError, LabelAmount, PredictionRun, Predictions};

fn run(draw: u32) -> PredictionRun {
    PredictionRun {
        method: "linear".into(),
        fraction: LabelAmount::ONE_PERCENT,
        draw,
    }
}

fn predictions(labels: &[u32], runs: &[&[u32]]) -> Predictions {
    let images = (0..labels.len())
        .map(|i| format!("n01/\"a,{i}\".jpg"))
        .collect();
    let mut predictions = Predictions::new(images, labels.to_vec()).unwrap();
    for (draw, predicted) in runs.iter().enumerate() {
        predictions
            .add(run(draw as u32), predicted.to_vec())
            .unwrap();
    }
    predictions
}

fn read(text: &str) -> Result<Predictions, EvalError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.csv");
    std::fs::write(&path, text).unwrap();
    Predictions::read(path)
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.csv");
    let predictions = predictions(&[0, 1, 2], &[&[0, 1, 1], &[2, 1, 2]]);
    predictions.write(&path).unwrap();
    assert_eq!(Predictions::read(&path).unwrap(), predictions);
    // Again over the old file, and nothing else remains.
    predictions.write(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = predictions
        .write(folder.path().join("none/p.csv"))
        .unwrap_err();
    assert!(error.to_string().starts_with("cannot write"), "{error}");
}

#[test]
fn a_byte_order_mark_and_crlf_are_allowed() {
    let text = "\u{feff}draw,fraction,method,predicted,label,image\r\n0,1%,linear,3,2,a\r\n";
    let predictions = read(text).unwrap();
    assert_eq!(predictions.images(), ["a"]);
    assert_eq!(predictions.correct(&run(0)), Some(vec![false]));
    assert_eq!(predictions.correct(&run(1)), None);
}

#[test]
fn comparisons_need_only_the_files() {
    let labels: Vec<u32> = (0..200).map(|i| i % 7).collect();
    let wrong = |every: usize| -> Vec<u32> {
        let class = |(i, &label): (usize, &u32)| if i % every == 0 { label + 1 } else { label };
        labels.iter().enumerate().map(class).collect()
    };
    let (often, rarely) = (wrong(2), wrong(20));
    let first = predictions(&labels, &[&often, &often]);
    let second = predictions(&labels, &[&rarely]);
    let compared = first.compare(&second, 1000, 3).unwrap();
    assert_eq!(compared.len(), 1);
    assert_eq!(compared[0].run, run(0));
    assert_eq!(compared[0].accuracies, [0.5, 0.95]);
    assert_eq!(compared[0].comparison.mcnemar.n01, 90);
    let [low, high] = compared[0].interval_95;
    assert!(low < 0.45 && 0.45 < high && low > 0.3, "{low} {high}");
}

#[test]
fn different_images_or_orders_are_refused() {
    let all = predictions(&[0, 1, 2], &[&[0, 1, 2]]);
    let refused = |images: &[&str], labels: &[u32]| {
        let images = images
            .iter()
            .map(|i| format!("n01/\"a,{i}\".jpg"))
            .collect();
        let mut other = Predictions::new(images, labels.to_vec()).unwrap();
        other.add(run(0), labels.to_vec()).unwrap();
        all.compare(&other, 10, 0).unwrap_err().to_string()
    };
    let message = refused(&["0", "2", "1"], &[0, 2, 1]);
    assert!(
        message.contains("image 1 is") && message.contains("same order"),
        "{message}"
    );
    assert!(refused(&["0", "1"], &[0, 1]).contains("3 images against 2"));
    assert!(refused(&["0", "1", "2"], &[0, 1, 1]).contains("the label of image 2 is 2"));
    // One file whose classifiers saw different orders.
    let text = "image,label,predicted,method,fraction,draw\n\
                a,0,0,knn,1%,0\nb,1,1,knn,1%,0\nb,1,1,knn,1%,1\na,0,0,knn,1%,1\n";
    let message = read(text).unwrap_err().to_string();
    assert!(
        message.contains("knn, 1%, draw 1: image 0 is `a`"),
        "{message}"
    );
}

#[test]
fn other_files_and_lengths_are_errors() {
    for (text, problem) in [
        ("", "it has no rows"),
        ("image,label\na,0\n", "missing field `predicted`"),
        (
            "image,label,predicted,method,fraction,draw\na,x,0,knn,1%,0\n",
            "row 1",
        ),
        (
            "image,label,predicted,method,fraction,draw\na,0,0,knn,1,0\n",
            "no amount of labels",
        ),
    ] {
        let message = read(text).unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
    }
    let mut predictions = predictions(&[0, 1], &[]);
    assert!(predictions.add(run(0), vec![0]).is_err());
    assert!(Predictions::new(vec![], vec![]).is_err());
    assert!(Predictions::new(vec!["a".into()], vec![]).is_err());
    let error = predictions
        .compare(&predictions.clone(), 10, 0)
        .unwrap_err();
    assert!(error.to_string().contains("of the same method"), "{error}");
    assert!(matches!(
        Predictions::read("/none"),
        Err(EvalError::Read { .. })
    ));
}
