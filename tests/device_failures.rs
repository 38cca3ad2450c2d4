//! A device that is lost in a step, or has no memory left: what the run says, saves and repeats.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use common::{assert_same_run, files, short, write_images};
use e2mc::methods::vicreg::{VicReg, VicRegConfig};
use e2mc::methods::{BaseMethod, MethodError, MethodOutput, MethodState, NamedGroup, RunPosition};
use e2mc::plan::MicroBatch;
use e2mc::resnet::{Backbone, ResNetConfig};
use e2mc::{Error, Event, Observer, Plan, Preset, RunOptions, SavePlan, Study, StudyResults};
use tempfile::TempDir;

/// Passes of a step with the whole batch at once: its two views.
const WHOLE: usize = 2;
/// Passes of a step with half of the batch at once: two pieces of two views, twice.
const HALVES: usize = 8;

const FEATURES: usize = 12;

/// A network on a device that can fail in training, in CubeCL's words.
#[derive(Module, Debug)]
struct Fragile {
    embedding: Conv2d,
}

impl Fragile {
    fn new(device: &Device) -> Self {
        let config = Conv2dConfig::new([1, FEATURES], [4, 4]).with_stride([4, 4]);
        Self {
            embedding: config.init(device),
        }
    }
}

impl Backbone for Fragile {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        if images.device().is_autodiff() {
            DEVICE.pass(images.dims()[0]);
        }
        let maps = relu(self.embedding.forward(images));
        let [n, d, h, w] = maps.dims();
        maps.reshape([n, d, h * w]).mean_dim(2).reshape([n, d])
    }

    fn in_channels(&self) -> usize {
        1
    }

    fn out_features(&self) -> usize {
        FEATURES
    }
}

/// The device of [`Fragile`], one for all tests, which therefore run one after the other.
struct FragileDevice {
    /// Images for which it has memory.
    memory: AtomicUsize,
    /// Passes of more images than that before the memory is scarce.
    healthy: AtomicUsize,
    /// Passes before the device is lost.
    lost_after: AtomicUsize,
}

static DEVICE: FragileDevice = FragileDevice {
    memory: AtomicUsize::new(usize::MAX),
    healthy: AtomicUsize::new(0),
    lost_after: AtomicUsize::new(usize::MAX),
};
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Counts down, unless the count has no end. Returns whether there was something left.
fn one_less(count: &AtomicUsize) -> bool {
    let less = |left: usize| match left {
        usize::MAX => Some(usize::MAX),
        _ => left.checked_sub(1),
    };
    let order = Ordering::SeqCst;
    count.fetch_update(order, order, less).is_ok()
}

impl FragileDevice {
    fn is_lost(&self) -> bool {
        self.lost_after.load(Ordering::SeqCst) == 0
    }

    fn pass(&self, images: usize) {
        let alive = one_less(&self.lost_after);
        assert!(alive, "The device is poisoned: device lost");
        let fits = images <= self.memory.load(Ordering::SeqCst) || one_less(&self.healthy);
        assert!(
            fits,
            "Error while reading data\nCaused by:\n  out of device memory allocating 4096 bytes"
        );
    }
}

/// VICReg whose weights cannot be read from a device that is lost.
#[derive(Module, Debug)]
struct Unreadable {
    method: VicReg<Fragile>,
}

impl BaseMethod for Unreadable {
    type Backbone = Fragile;

    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn backbone(&self) -> &Fragile {
        self.method.backbone()
    }

    fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.method.project(images)
    }

    fn param_groups(&self) -> Vec<NamedGroup> {
        self.method.param_groups()
    }

    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        self.method.embed(views)
    }

    fn loss(&mut self, embeddings: Vec<Tensor<2>>, position: RunPosition) -> MethodOutput {
        self.method.loss(embeddings, position)
    }

    fn state(&self) -> MethodState {
        assert!(!DEVICE.is_lost(), "The device is poisoned: device lost");
        self.method.state()
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn event(&self, event: &Event) {
        if let Event::Note(note) = event {
            self.0.lock().unwrap().push(note.to_string());
        }
    }
}

struct Bench {
    folder: TempDir,
    plan: Plan,
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl Bench {
    /// Three epochs of three steps of 16 images, in one branch, on a healthy device.
    fn new() -> Self {
        let guard = ONE_AT_A_TIME
            .lock()
            .unwrap_or_else(|error| error.into_inner());
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        write_images(&images);
        let mut plan = short(Preset::VicregSmall.pretraining(), &images);
        plan.branches.truncate(1);
        plan.probes.clear();
        let bench = Self {
            folder,
            plan,
            _one_at_a_time: guard,
        };
        bench.repair();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn repair(&self) {
        DEVICE.memory.store(usize::MAX, Ordering::SeqCst);
        DEVICE.healthy.store(0, Ordering::SeqCst);
        DEVICE.lost_after.store(usize::MAX, Ordering::SeqCst);
    }

    fn config() -> VicRegConfig {
        // Its backbone is replaced.
        VicRegConfig::new(ResNetConfig::resnet18(), vec![16, 16])
    }

    fn run(&self, micro_batch: Option<MicroBatch>, output: &Path) -> (Outcome, Vec<String>) {
        self.run_with(micro_batch, output, |device| {
            Self::config().init_with_backbone(Fragile::new(device), device)
        })
    }

    fn run_with<M: BaseMethod>(
        &self,
        micro_batch: Option<MicroBatch>,
        output: &Path,
        method: impl Fn(&Device) -> M + Send + Sync + 'static,
    ) -> (Outcome, Vec<String>) {
        let mut plan = self.plan.clone();
        plan.micro_batch = micro_batch;
        let mut save = SavePlan::default();
        (save.keep, save.every) = (9, Duration::from_secs(600));
        let options = RunOptions::default().with_save(save);
        let notes = Arc::new(Notes::default());
        let load = move |device: &Device, _| Ok(method(device));
        let study = Study::new(plan, options, notes.clone(), load);
        let result = study.unwrap().run(output);
        let notes = notes.0.lock().unwrap().clone();
        (result, notes)
    }

    fn state(&self, output: &Path, step: usize) -> PathBuf {
        let name = &self.plan.branches[0].name;
        output.join(format!("checkpoints/{name}-step-{step}"))
    }

    fn sizes(&self, output: &Path) -> serde_json::Value {
        let name = format!("micro-batch-{}.json", self.plan.branches[0].name);
        serde_json::from_slice(&std::fs::read(output.join(name)).unwrap()).unwrap()
    }
}

type Outcome = Result<StudyResults, Error>;

/// Asserts that two runs trained the same weights over the same numbers.
fn assert_same_training(expected: &Path, found: &Path) {
    let (expected, found) = (files(expected), files(found));
    let mut compared = 0;
    for (name, bytes) in expected {
        if name.starts_with("metrics-") || name.starts_with("backbone-") {
            assert!(found[&name] == bytes, "{name} differs");
            compared += 1;
        }
    }
    assert_eq!(compared, 2);
}

#[test]
fn an_automatic_micro_batch_gives_the_numbers_of_the_one_that_fits() {
    let bench = Bench::new();
    let [auto, given, whole] = ["auto", "given", "whole"].map(|name| bench.path(name));
    bench.run(Some(MicroBatch::Images(4)), &given).0.unwrap();
    bench.run(None, &whole).0.unwrap();
    DEVICE.memory.store(4, Ordering::SeqCst);
    let (result, notes) = bench.run(Some(MicroBatch::Auto), &auto);
    result.unwrap();
    assert_same_training(&given, &auto);
    assert_eq!(
        bench.sizes(&auto),
        serde_json::json!([{"step": 0, "images": 4}])
    );
    let halved: Vec<_> = notes.iter().filter(|n| n.contains("exhausted")).collect();
    assert_eq!(halved.len(), 2, "{notes:?}");
    assert!(
        halved[1].contains("step 0 is repeated with 4 images"),
        "{notes:?}"
    );
    let report = std::fs::read_to_string(auto.join("report.html")).unwrap();
    assert!(report.contains("4 images at once from step 0 (--micro-batch auto)"));
    // Batch normalization sees other pieces, so the comparison above could have failed.
    let metrics = |run: &Path| {
        let name = format!("metrics-{}.jsonl", bench.plan.branches[0].name);
        files(run).remove(&name).unwrap()
    };
    assert!(metrics(&auto) != metrics(&whole));
}

#[test]
fn a_run_that_was_halved_in_its_midst_is_resumed_with_the_same_numbers() {
    let bench = Bench::new();
    let [whole, resumed] = ["whole", "resumed"].map(|name| bench.path(name));
    let scarce_after = |steps| {
        bench.repair();
        DEVICE.memory.store(8, Ordering::SeqCst);
        DEVICE.healthy.store(steps * WHOLE, Ordering::SeqCst);
    };
    scarce_after(4);
    bench.run(Some(MicroBatch::Auto), &whole).0.unwrap();
    let halved = serde_json::json!([{"step": 0, "images": 16}, {"step": 4, "images": 8}]);
    assert_eq!(bench.sizes(&whole), halved);

    // The same, but the device is lost in step 5.
    scarce_after(4);
    let passes = 4 * WHOLE + 1 + HALVES;
    DEVICE.lost_after.store(passes, Ordering::SeqCst);
    bench.run(Some(MicroBatch::Auto), &resumed).0.unwrap_err();
    assert_eq!(bench.sizes(&resumed), halved);
    // As if the program had been killed before it saved a state after step 3, which is therefore
    // repeated, with the pieces that it had.
    for step in [4, 5] {
        std::fs::remove_dir_all(bench.state(&resumed, step)).unwrap();
    }
    scarce_after(1);
    bench.run(Some(MicroBatch::Auto), &resumed).0.unwrap();
    assert_same_run(&whole, &resumed);
}

#[test]
fn a_fixed_micro_batch_ends_the_run_with_its_state_saved() {
    let bench = Bench::new();
    let [whole, resumed] = ["whole", "resumed"].map(|name| bench.path(name));
    bench.run(Some(MicroBatch::Images(8)), &whole).0.unwrap();
    DEVICE.memory.store(4, Ordering::SeqCst);
    DEVICE.healthy.store(4 * HALVES + 5, Ordering::SeqCst);
    let (result, _) = bench.run(Some(MicroBatch::Images(8)), &resumed);
    let message = result.unwrap_err().to_string();
    for part in [
        "no memory for 8 images at once (Error while reading data Caused by: out of device memory",
        "state before the step is saved",
        "--micro-batch auto",
    ] {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(bench.state(&resumed, 4).exists());
    bench.repair();
    bench.run(Some(MicroBatch::Images(8)), &resumed).0.unwrap();
    assert_same_run(&whole, &resumed);
}

#[test]
fn memory_for_less_than_two_images_ends_the_run() {
    let bench = Bench::new();
    DEVICE.memory.store(1, Ordering::SeqCst);
    let output = bench.path("run");
    let error = bench.run(Some(MicroBatch::Auto), &output).0.unwrap_err();
    let message = error.to_string();
    assert!(message.contains("no memory for 2 images"), "{message}");
}

#[test]
fn a_lost_device_is_named_and_the_run_resumes() {
    let bench = Bench::new();
    let [whole, resumed] = ["whole", "resumed"].map(|name| bench.path(name));
    bench.run(None, &whole).0.unwrap();
    DEVICE.lost_after.store(5 * WHOLE, Ordering::SeqCst);
    let error = bench.run(None, &resumed).0.unwrap_err();
    assert!(
        matches!(error, Error::Method(MethodError::Device { .. })),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(
        message.contains("device 1 of 1 failed") && message.contains("device lost"),
        "{message}"
    );
    assert!(bench.state(&resumed, 5).exists());
    bench.repair();
    bench.run(None, &resumed).0.unwrap();
    assert_same_run(&whole, &resumed);
}

#[test]
fn a_lost_device_that_took_the_weights_with_it_leaves_the_newest_saved_state() {
    let bench = Bench::new();
    let output = bench.path("run");
    DEVICE.lost_after.store(5 * WHOLE, Ordering::SeqCst);
    let (result, _) = bench.run_with(None, &output, |device| Unreadable {
        method: Bench::config().init_with_backbone(Fragile::new(device), device),
    });
    let error = result.unwrap_err();
    assert!(matches!(error, Error::NotSaved { .. }), "{error:?}");
    let message = error.to_string();
    for part in ["device 1 of 1 failed", "device lost", "newest saved state"] {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(bench.state(&output, 3).exists() && !bench.state(&output, 5).exists());
}

#[test]
fn micro_batches_of_another_run_are_rejected() {
    let bench = Bench::new();
    let output = bench.path("run");
    DEVICE.lost_after.store(WHOLE, Ordering::SeqCst);
    bench.run(Some(MicroBatch::Auto), &output).0.unwrap_err();
    bench.repair();
    let file = output.join(format!("micro-batch-{}.json", bench.plan.branches[0].name));
    for damaged in [
        "[]",
        "[{\"step\": 3, \"images\": 4}]",
        "[{\"step\": 0, \"images\": 1}]",
        "[{\"step\": 0, \"images\": 4}, {\"step\": 0, \"images\": 2}]",
        "{}",
    ] {
        std::fs::write(&file, damaged).unwrap();
        let error = bench.run(Some(MicroBatch::Auto), &output).0.unwrap_err();
        let message = error.to_string();
        assert!(message.contains("micro-batch-"), "{damaged}: {message}");
    }
}
