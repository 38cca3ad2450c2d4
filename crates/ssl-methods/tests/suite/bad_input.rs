use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::prelude::*;
use e2mc_resnet::{ResNetConfig, Stem};
use ssl_methods::optim::{LarcConfig, LrSchedule, SgdConfig};
use ssl_methods::swav::{QueueConfig, SwavConfig, sinkhorn, swapped_prediction_loss};
use ssl_methods::{BaseMethod, MethodState, Progress};

fn small() -> SwavConfig {
    let backbone = ResNetConfig::new(e2mc_resnet::BlockKind::Basic, [1, 1, 1, 1])
        .with_width(4)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        });
    SwavConfig::new(backbone, [16, 8], 10)
}

fn views(n: usize, sizes: &[usize]) -> Vec<Tensor<4>> {
    let device = Device::default().autodiff();
    sizes
        .iter()
        .map(|&s| Tensor::ones([n, 1, s, s], &device))
        .collect()
}

/// The message with which `f` panics.
fn panic_of(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("no panic");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        panic
            .downcast_ref::<&str>()
            .expect("no message")
            .to_string()
    })
}

fn forward_panic(config: SwavConfig, views: Vec<Tensor<4>>) -> String {
    let mut method = config.init(&Device::default().autodiff()).unwrap();
    panic_of(|| {
        method.forward(views, Progress::default());
    })
}

#[test]
fn options_out_of_range_are_named() {
    let error = |config: SwavConfig| config.init(&Device::default()).unwrap_err().to_string();
    assert_eq!(
        error(small().with_temperature(0.0)),
        "option temperature is 0.0, expected a number above 0"
    );
    assert_eq!(
        error(small().with_temperature(f64::NAN)),
        "option temperature is NaN, expected a number above 0"
    );
    assert!(
        error(small().with_sinkhorn_epsilon(-0.05)).starts_with("option sinkhorn_epsilon is -0.05")
    );
    assert!(
        error(small().with_sinkhorn_iterations(0)).starts_with("option sinkhorn_iterations is 0")
    );
    assert!(error(small().with_full_crops(0)).starts_with("option full_crops is 0"));
    assert!(
        error(SwavConfig {
            prototypes: 1,
            ..small()
        })
        .starts_with("option prototypes is 1")
    );
    assert!(
        error(SwavConfig {
            projector: [0, 8],
            ..small()
        })
        .starts_with("option projector is [0, 8]")
    );
    assert!(
        error(small().with_queue(Some(QueueConfig::new(0, 0))))
            .starts_with("option queue.length is 0")
    );
    let backbone = small().backbone.with_width(0);
    assert!(
        error(SwavConfig {
            backbone,
            ..small()
        })
        .starts_with("option backbone.width is 0")
    );

    let error = |config: SgdConfig| config.init().err().unwrap().to_string();
    assert!(error(SgdConfig::new().with_momentum(1.0)).starts_with("option momentum is 1.0"));
    assert!(
        error(SgdConfig::new().with_weight_decay(-1e-6))
            .starts_with("option weight_decay is -1e-6")
    );
    let larc = LarcConfig::new(SgdConfig::new())
        .with_trust(f64::NAN)
        .init();
    assert!(
        larc.err()
            .unwrap()
            .to_string()
            .starts_with("option trust is NaN")
    );
    assert!(
        LrSchedule::constant(-0.1)
            .unwrap_err()
            .to_string()
            .starts_with("option learning_rate is -0.1")
    );
    assert!(LrSchedule::constant(f64::NAN).is_err());
    assert!(
        LrSchedule::cosine(1.0, 0.0, 0)
            .unwrap_err()
            .to_string()
            .starts_with("option steps is 0")
    );
}

#[test]
fn batch_sizes_are_checked_before_training() {
    let method = |queue| small().with_queue(queue).init(&Device::default()).unwrap();
    let queue = Some(QueueConfig::new(32, 0));
    assert!(method(queue).check_batch_size(16).is_ok());
    assert_eq!(
        method(queue).check_batch_size(12).unwrap_err().to_string(),
        "option queue.length is 32, expected a multiple of the batch size"
    );
    assert!(method(queue).check_batch_size(64).is_err());
    assert!(method(None).check_batch_size(12).is_ok());
    assert!(method(None).check_batch_size(1).is_err());
}

#[test]
fn views_that_do_not_fit_panic_with_their_shapes() {
    let panic = |views| forward_panic(small(), views);
    assert!(panic(views(4, &[16])).contains("expected at least 2 views"));
    assert!(
        forward_panic(small().with_full_crops(3), views(4, &[16, 16]))
            .contains("expected at least 3 views")
    );
    assert!(panic(views(1, &[16, 16])).contains("a batch needs at least 2 images"));
    assert!(panic(views(4, &[16, 12])).contains("must have one resolution"));
    assert!(
        panic(views(4, &[16, 16, 8, 12, 8]))
            .contains("must stand side by side, but [8, 8] comes back")
    );

    let device = Device::default().autodiff();
    let mut mixed = views(4, &[16, 16]);
    mixed.push(Tensor::ones([4, 3, 8, 8], &device));
    let message = panic(mixed);
    assert!(
        message.contains("[4, 1, 16, 16]") && message.contains("[4, 3, 8, 8]"),
        "{message}"
    );
    let mut uneven = views(4, &[16, 16]);
    uneven.push(Tensor::ones([5, 1, 8, 8], &device));
    assert!(panic(uneven).contains("view 2 is [5, 1, 8, 8]"));
    let colour = (0..2)
        .map(|_| Tensor::ones([4, 3, 16, 16], &device))
        .collect();
    assert!(panic(colour).contains("images of 1 channels"));

    let queue = small().with_queue(Some(QueueConfig::new(10, 0)));
    assert!(
        forward_panic(queue, views(4, &[16, 16]))
            .contains("a queue of 10 embeddings cannot be filled with batches of 4")
    );
}

#[test]
fn terms_panic_with_both_shapes() {
    let device = Device::default();
    let zeros = |shape: [usize; 3]| Tensor::<3>::zeros(shape, &device);
    let message = panic_of(|| {
        swapped_prediction_loss(zeros([3, 4, 5]), zeros([2, 4, 6]), 0.1);
    });
    assert!(
        message.contains("[3, 4, 5]") && message.contains("[2, 4, 6]"),
        "{message}"
    );
    for (scores, codes, temperature) in [
        ([1, 4, 5], [1, 4, 5], 0.1),
        ([2, 4, 5], [3, 4, 5], 0.1),
        ([2, 4, 5], [2, 4, 5], 0.0),
        ([2, 4, 5], [2, 4, 5], f64::NAN),
    ] {
        panic_of(|| {
            swapped_prediction_loss(zeros(scores), zeros(codes), temperature);
        });
    }
    for (epsilon, iterations) in [(0.0, 3), (-1.0, 3), (f64::NAN, 3), (0.05, 0)] {
        let scores = Tensor::zeros([4, 5], &device);
        panic_of(|| {
            sinkhorn(scores, epsilon, iterations);
        });
    }
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let with_queue = small().with_queue(Some(QueueConfig::new(8, 0)));
    let method = || with_queue.init(&Device::default().autodiff()).unwrap();
    let mut filled = method();
    filled.forward(views(4, &[16, 16]), Progress::default());
    let state = filled.state();
    assert_eq!(state.names().collect::<Vec<_>>(), ["queue.0", "queue.1"]);
    method().load_state(state.clone()).unwrap();
    method().load_state(MethodState::default()).unwrap();

    let error = |config: SwavConfig, state| {
        let mut method = config.init(&Device::default()).unwrap();
        method.load_state(state).unwrap_err().to_string()
    };
    assert!(error(small(), state.clone()).contains("this configuration has none"));
    let shorter = with_queue.clone().with_queue(Some(QueueConfig::new(2, 0)));
    assert!(error(shorter, state.clone()).contains("queue.0 is F32 [4, 8], expected at most 2"));
    assert!(
        error(with_queue.clone().with_full_crops(1), state.clone()).contains("queue.1 is unknown")
    );
    assert!(
        error(with_queue.clone().with_full_crops(3), state.clone()).contains("queue.2 is missing")
    );

    let bytes = state.into_bytes().unwrap();
    let cut = burn::tensor::Bytes::from_bytes_vec(bytes[..bytes.len() / 2].to_vec());
    assert!(MethodState::from_bytes(cut).is_err());
}
