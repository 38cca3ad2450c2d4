//! One step on several devices. All devices of Flex are the CPU, so each replica is a thread here.

use burn::module::Module;
use burn::prelude::*;
use e2mc_resnet::ResNet;
use ssl_methods::barlow_twins::{BarlowTwins, BarlowTwinsConfig};
use ssl_methods::criterion::{Criterion, CriterionConfig};
use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
use ssl_methods::swav::{Swav, SwavConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};
use ssl_methods::{
    BaseMethod, MethodError, MethodOutput, NamedGroup, Replicas, RunPosition, Step,
    accumulated_gradients, replicated_gradients, split_views,
};

use crate::accumulate::{assert_equal, assert_equal_tensors, device, found};
use crate::bad_input::panic_of;
use crate::golden::{METHODS, Tensors, distance, json, named_values, scalar, values};
use crate::methods::{load_method, run_of, small_stem};
use crate::small::{each_method, random_views, twin};

fn total(output: &MethodOutput, criterion: &Criterion) -> Tensor<1> {
    match criterion.forward(&output.embeddings, &output.small_crops) {
        Some(add_on) => output.loss.clone() + add_on.loss,
        None => output.loss.clone(),
    }
}

/// A method with the same weights, and no running statistics in common.
fn copy<M: BaseMethod>(method: &M) -> M {
    let device = device();
    // A fork shares the running statistics, as a clone does, until it is loaded again.
    twin(method, method.clone().fork(&device)).valid().train()
}

/// Equal losses, embeddings and gradients, up to rounding.
fn assert_same_step<M: BaseMethod>(name: &str, found: (&M, Step), expected: (&M, Step)) {
    let ((method, step), (single, expected)) = (found, expected);
    let error = (scalar(step.loss) / scalar(expected.loss) - 1.0).abs();
    assert!(error < 1e-5, "{name}: loss off by {error:e}");
    for (z, expected) in step
        .output
        .embeddings
        .iter()
        .zip(expected.output.embeddings)
    {
        let error = distance(&values(z.clone()), &values(expected));
        assert!(error < 1e-5, "{name}: embeddings off by {error:e}");
    }
    let found = named_values(method, Some(&step.gradients));
    let expected = named_values(single, Some(&expected.gradients));
    assert_equal_tensors(name, &found, &expected);
}

/// Equal running statistics.
fn assert_same_statistics<M: BaseMethod>(name: &str, found: &M, expected: &M) {
    let [found, expected] = [found, expected].map(|method| named_values(&method.valid(), None));
    assert_equal_tensors(name, &found, &expected);
}

/// Every device has statistics of its own.
fn each_alone(devices: &[Device], micro_batch: usize) -> Replicas<'_> {
    Replicas {
        devices,
        micro_batch,
        sync_batch_norm: false,
    }
}

#[test]
fn replicas_give_the_gradients_of_one_device_with_the_same_pieces() {
    let criteria = [
        CriterionConfig::None,
        CriterionConfig::E2mc(e2mc_loss::E2mcLossConfig::swav()),
    ];
    for criterion in criteria {
        let criterion = criterion.init();
        // Shares of 6, of 4, of 6 in two pieces of 3, and of 6 in pieces of 4 and 2.
        for (devices, micro_batch) in [(2, 12), (3, 12), (2, 3), (2, 4)] {
            each_method!(|method, sizes, device| {
                let name = format!("{} on {devices} by {micro_batch}", method.name());
                let views = random_views(12, sizes, &device);
                let (mut method, mut single) = (method.clone(), copy(&method));
                let on_start = copy(&method);
                let step = replicated_gradients(
                    &mut method,
                    split_views(&views, devices),
                    &each_alone(&vec![device.clone(); devices], micro_batch),
                    RunPosition::default(),
                    |output| total(output, &criterion),
                )
                .unwrap();
                let share = 12 / devices;
                // One device passes the same pieces one after the other where all have one size.
                if share % micro_batch.min(share) == 0 {
                    let expected = accumulated_gradients(
                        &mut single,
                        views.clone(),
                        micro_batch.min(share),
                        RunPosition::default(),
                        |output| total(output, &criterion),
                    );
                    assert_same_step(&name, (&method, step), (&single, expected));
                }

                // The backbone's running statistics are the mean of the devices'.
                let pieces = |i: usize| {
                    let (on_start, views) = (copy(&on_start), &views);
                    for start in (i * share..(i + 1) * share).step_by(micro_batch) {
                        let end = (start + micro_batch).min((i + 1) * share);
                        let piece = |view: &Tensor<4>| view.clone().slice_dim(0, start..end);
                        on_start.embed(views.iter().map(piece).collect());
                    }
                    named_values(on_start.valid().backbone(), None)
                };
                let each: Vec<_> = (0..devices).map(pieces).collect();
                let mut compared = 0;
                for (i, (path, found)) in named_values(method.valid().backbone(), None)
                    .into_iter()
                    .enumerate()
                {
                    if !path.contains("running") {
                        continue;
                    }
                    let mean: Vec<f64> = (0..found.len())
                        .map(|c| each.iter().map(|own| own[i].1[c]).sum::<f64>() / devices as f64)
                        .collect();
                    let error = distance(&found, &mean);
                    assert!(error < 1e-5, "{name}: {path} is off by {error:e}");
                    let moved = distance(&found, &named_values(on_start.backbone(), None)[i].1);
                    assert!(moved > 1e-3, "{name}: {path} did not move");
                    compared += 1;
                }
                assert!(compared > 10, "{name}: {compared}");
            });
        }
    }
}

/// The first step of each of PyTorch's runs. With given weights and images, since the layers round
/// in another way when synchronized: with random ones, now and then a ReLU is on the other side
/// of 0.
#[test]
fn synchronized_replicas_equal_pytorch_on_the_whole_batch() {
    let golden = json(METHODS, "trajectory.json");
    let tensors = Tensors::open(METHODS);
    let mut runs = 0;
    for (name, golden) in golden.as_object().unwrap() {
        let (run, checkpoint) = run_of(name, golden);
        let criterion = run.criterion();
        let views = tensors.views(&run.list("images"), 0, &device());
        load_method!(golden, checkpoint, small_stem, device(), |method| {
            for devices in [2, 4] {
                let (mut method, mut single) = (copy(&method), copy(&method));
                let list = vec![device(); devices];
                let replicas = Replicas {
                    sync_batch_norm: true,
                    ..each_alone(&list, 16)
                };
                let loss = |output: &MethodOutput| total(output, &criterion);
                let position = RunPosition::default();
                let shares = split_views(&views, devices);
                let step =
                    replicated_gradients(&mut method, shares, &replicas, position, loss).unwrap();
                run.check_term(0, "loss", "", scalar(step.loss));
                run.check_gradients(named_values(&method, Some(&step.gradients)), &tensors);
                single.step(views.clone(), position, loss);
                assert_same_statistics(&format!("{name} on {devices}"), &method, &single);
            }
        });
        runs += 1;
    }
    assert_eq!(runs, 11);
}

#[test]
fn synchronized_pieces_are_those_of_one_device_with_larger_pieces() {
    // Two devices with pieces of four: images 0 to 3 pass with 8 to 11, then 4 to 7 with 12 to 15.
    let order = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];
    let order = Tensor::<1, Int>::from_ints(order, &device());
    let golden = json(METHODS, "trajectory.json");
    let (run, checkpoint) = run_of("vicreg", &golden["vicreg"]);
    let mut config = VicRegConfig::from_checkpoint(&checkpoint).unwrap();
    config.backbone = small_stem(config.backbone);
    let mut method = VicReg::from_checkpoint(&checkpoint, &config, &device()).unwrap();
    let mut single = copy(&method);
    let views = Tensors::open(METHODS).views(&run.list("images"), 0, &device());
    let ordered = views
        .iter()
        .map(|view| view.clone().select(0, order.clone()));
    let ordered = ordered.collect();
    let devices = [device(), device()];
    let replicas = Replicas {
        sync_batch_norm: true,
        ..each_alone(&devices, 4)
    };
    let position = RunPosition::default();
    // It does not depend on the order of the images.
    let loss = |output: &MethodOutput| output.loss.clone();
    let shares = split_views(&views, 2);
    let mut step = replicated_gradients(&mut method, shares, &replicas, position, loss).unwrap();
    let expected = accumulated_gradients(&mut single, ordered, 8, position, loss);
    for z in &mut step.output.embeddings {
        *z = z.clone().select(0, order.clone().without_autodiff());
    }
    assert_same_step("VICReg in pieces", (&method, step), (&single, expected));
    assert_same_statistics("VICReg in pieces", &method, &single);
}

#[test]
fn normalizations_of_the_loss_see_the_whole_batch() {
    let mut method = crate::small::simsiam().init(&device());
    let mut single = copy(&method);
    let views = random_views(12, &[16, 16], &device());
    let loss = |output: &MethodOutput| output.loss.clone();
    let devices = [device(), device()];
    let replicas = each_alone(&devices, 12);
    let position = RunPosition::default();
    let shares = split_views(&views, 2);
    replicated_gradients(&mut method, shares, &replicas, position, loss).unwrap();
    accumulated_gradients(&mut single, views, 6, position, loss);
    let [found, expected] =
        [&method, &single].map(|method| named_values(&method.valid().predictor, None));
    for ((path, found), (_, expected)) in found.iter().zip(&expected) {
        let error = distance(found, expected);
        assert!(error < 1e-5, "{path} is off by {error:e}");
    }
}

#[test]
fn views_may_be_without_graph_and_one_device_is_an_ordinary_step() {
    let mut method = crate::small::vicreg().init(&device());
    let mut single = copy(&method);
    let views = random_views(8, &[16, 16], &Device::default());
    let loss = |output: &MethodOutput| output.loss.clone();
    let position = RunPosition::default();
    let devices = [device()];
    // With one device, there is nothing to synchronize.
    let replicas = Replicas {
        sync_batch_norm: true,
        ..each_alone(&devices, 8)
    };
    let shares = vec![views.clone()];
    let step = replicated_gradients(&mut method, shares, &replicas, position, loss).unwrap();
    let views = views.into_iter().map(Tensor::autodiff).collect();
    let expected = single.step(views, position, loss);
    assert_eq!(scalar(step.loss), scalar(expected.loss));
    assert_equal(
        "one device",
        &found(&method, &step.gradients),
        &found(&single, &expected.gradients),
    );
}

#[test]
fn unequal_and_tiny_shares_are_rejected() {
    for (n, count) in [(9, 2), (8, 0)] {
        let message = panic_of(|| {
            split_views(&random_views(n, &[16, 16], &device()), count);
        });
        let words = format!("{n} images cannot be shared equally by {count} devices");
        assert!(message.contains(&words), "{message}");
    }
    for (shares, count, micro_batch, words) in [
        (&[4, 5][..], 2, 4, "different numbers of images: [4, 5]"),
        (&[4], 2, 4, "1 shares for 2 devices"),
        (&[], 0, 4, "0 shares for 0 devices"),
        (&[1, 1, 1], 3, 4, "shares of 1"),
        (&[5, 5], 2, 4, "leave one"),
        (&[4, 4], 2, 1, "leave one"),
    ] {
        let message = panic_of(|| {
            let mut method = crate::small::vicreg().init(&device());
            let views = |&n: &usize| random_views(n, &[16, 16], &device());
            let shares = shares.iter().map(views).collect();
            let devices = vec![device(); count];
            let replicas = each_alone(&devices, micro_batch);
            let position = RunPosition::default();
            let loss = |output: &MethodOutput| output.loss.clone();
            let _ = replicated_gradients(&mut method, shares, &replicas, position, loss);
        });
        assert!(message.contains(words), "{message}");
    }
}

/// Fails on the second device.
#[derive(Module, Debug)]
struct Fragile {
    method: VicReg,
}

impl BaseMethod for Fragile {
    type Backbone = ResNet;

    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn backbone(&self) -> &ResNet {
        self.method.backbone()
    }

    fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.method.project(images)
    }

    fn param_groups(&self) -> Vec<NamedGroup> {
        self.method.param_groups()
    }

    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        if std::thread::current().name() == Some("replica 2") {
            panic!("the card fell out");
        }
        self.method.embed(views)
    }

    fn loss(&mut self, embeddings: Vec<Tensor<2>>, position: RunPosition) -> MethodOutput {
        self.method.loss(embeddings, position)
    }
}

#[test]
fn a_device_that_fails_is_named() {
    let method = crate::small::vicreg().init(&device());
    for (micro_batch, sync_batch_norm) in [(12, false), (2, false), (12, true), (2, true)] {
        let mut method = Fragile {
            method: copy(&method),
        };
        let views = random_views(12, &[16, 16], &device());
        let devices = vec![device(); 3];
        // Synchronized, the first device panics too, since it waits for the second.
        let replicas = Replicas {
            devices: &devices,
            micro_batch,
            sync_batch_norm,
        };
        let position = RunPosition::default();
        let loss = |output: &MethodOutput| output.loss.clone();
        let shares = split_views(&views, 3);
        let error =
            replicated_gradients(&mut method, shares, &replicas, position, loss).unwrap_err();
        assert!(matches!(
            error,
            MethodError::Device {
                place: 2,
                devices: 3,
                ..
            }
        ));
        let message = error.to_string();
        assert!(
            message.contains("device 2 of 3") && message.contains("the card fell out"),
            "{message}"
        );
    }
}
