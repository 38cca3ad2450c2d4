//! The paper's tables and figures in miniature.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{CHECKPOINT, write_images};
use e2mc::plan::CheckpointStart;
use e2mc::{
    BaseName, Event, Observer, Part, ReproductionPlan, SavePlan, Section, Silent, reproduce,
};

/// Counts the steps of training.
#[derive(Default)]
struct Steps(AtomicUsize);

impl Observer for Steps {
    fn event(&self, event: &Event) {
        if let Event::Step { .. } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One seed and one epoch on few images. VICReg and SimSiam are trained first.
fn plan(images: &Path, parts: &[Part]) -> ReproductionPlan {
    let mut swav = CheckpointStart::new(CHECKPOINT);
    swav.stem_stride = Some(2);
    ReproductionPlan {
        parts: parts.to_vec(),
        data: Some(images.to_path_buf()),
        image_shape: Some([28, 28, 1]),
        bases: vec![
            (BaseName::VicReg, None),
            (BaseName::Swav, Some(swav)),
            (BaseName::SimSiam, None),
        ],
        seeds: 1,
        epochs: 1,
        batch_size: Some(16),
        label_draws: Some(2),
        device: "flex".into(),
    }
}

#[test]
fn every_part_is_made_and_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let output = folder.path().join("out");
    let run = |plan: &ReproductionPlan, observer: Arc<dyn Observer>| {
        reproduce(plan, SavePlan::default(), &output, &observer)
    };
    let few = plan(&images, &[Part::Table3, Part::Figure3]);
    let found = run(&few, Arc::new(Silent)).unwrap();
    assert_eq!(found.len(), 2);
    assert!(!output.join("vicreg-base").exists());

    let all = plan(&images, &Part::ALL);
    let steps = Arc::new(Steps::default());
    let found = run(&all, steps.clone()).unwrap();
    // Earlier runs are not repeated. New are 40 epochs of two bases, one epoch of their two
    // branches each, and one of ten pairs of weights. Each epoch has 3 steps.
    assert_eq!(steps.0.load(Ordering::Relaxed), 3 * (2 * 40 + 2 * 2 + 10));
    let titles: Vec<&str> = found.iter().map(|section| &*section.title).collect();
    assert_eq!(titles.len(), Part::ALL.len(), "{titles:?}");
    let rows = |section: &Section| section.table.as_ref().unwrap().rows.len();
    assert_eq!(
        found.iter().map(rows).collect::<Vec<_>>(),
        [9, 6, 4, 3, 12, 5, 3, 2]
    );
    for section in &found {
        let table = section.table.as_ref().unwrap();
        // Our value exists wherever the paper has one.
        assert!(table.rows.iter().all(|row| row[2] != "-"), "{table:?}");
        assert!(!section.line.is_empty());
    }
    let page = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(page.contains("55.27") && !page.contains("Not finished"));
    assert_eq!(page.matches("<svg").count(), 4);

    let steps = Arc::new(Steps::default());
    assert_eq!(run(&all, steps.clone()).unwrap(), found);
    assert_eq!(steps.0.load(Ordering::Relaxed), 0);

    let longer = ReproductionPlan { epochs: 2, ..few };
    let error = run(&longer, Arc::new(Silent)).unwrap_err().to_string();
    assert!(
        error.contains("swav-continued-seed0") && error.contains("other settings"),
        "{error}"
    );
}

#[test]
fn half_of_the_main_run_equals_a_run_of_half_the_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let curves = [1, 2].map(|epochs| {
        let mut plan = plan(&images, &[Part::Figure4]);
        plan.epochs = epochs;
        let output = folder.path().join(epochs.to_string());
        let observer: Arc<dyn Observer> = Arc::new(Silent);
        let found = reproduce(&plan, SavePlan::default(), &output, &observer).unwrap();
        found[0].table.clone().unwrap()
    });
    let [short, long] = &curves;
    assert_eq!(short.headings[1..], ["epoch 0", "epoch 1"]);
    assert_eq!(long.headings[1..], ["epoch 0", "epoch 1", "epoch 2"]);
    for (short, long) in short.rows.iter().zip(&long.rows) {
        assert_eq!(long[..3], short[..]);
        assert_ne!(long[3], "-");
    }
}

#[test]
fn bad_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let error = |change: fn(&mut ReproductionPlan)| {
        let mut plan = plan(&images, &[Part::Table1]);
        change(&mut plan);
        let observer: Arc<dyn Observer> = Arc::new(Silent);
        let output = folder.path().join("out");
        let result = reproduce(&plan, SavePlan::default(), &output, &observer);
        assert!(!output.exists());
        result.unwrap_err().to_string()
    };
    assert!(error(|plan| plan.seeds = 0).starts_with("seeds is 0"));
    assert!(error(|plan| plan.epochs = 0).starts_with("epochs is 0"));
    assert!(error(|plan| plan.parts.clear()).starts_with("parts is none"));
    // SwAV's checkpoint instead of VICReg's.
    let message = error(|plan| plan.bases[0].1 = plan.bases[1].1.clone());
    assert!(
        message.contains("swav_fashion_mnist") && message.contains("VICReg"),
        "{message}"
    );
}
