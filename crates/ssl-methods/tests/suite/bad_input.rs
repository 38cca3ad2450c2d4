use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::prelude::*;
use ssl_methods::optim::{LarcConfig, LarsConfig, LrSchedule, SgdConfig};
use ssl_methods::simsiam::SimSiamConfig;
use ssl_methods::swav::{QueueConfig, SwavConfig, sinkhorn, swapped_prediction_loss};
use ssl_methods::vicreg::VicRegConfig;
use ssl_methods::{BaseMethod, MethodState, RunPosition};

use crate::small::{backbone, barlow_twins, simsiam, swav, vicreg};

fn views(n: usize, sizes: &[usize]) -> Vec<Tensor<4>> {
    let device = Device::default().autodiff();
    sizes
        .iter()
        .map(|&s| Tensor::ones([n, 1, s, s], &device))
        .collect()
}

/// The message with which `f` panics.
pub fn panic_of(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("no panic");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        panic
            .downcast_ref::<&str>()
            .expect("no message")
            .to_string()
    })
}

fn forward_panic(config: SwavConfig, views: Vec<Tensor<4>>) -> String {
    let mut method = config.init(&Device::default().autodiff());
    panic_of(|| {
        method.forward(views, RunPosition::default());
    })
}

#[test]
fn options_out_of_range_are_named() {
    let error = |config: SwavConfig| config.validate().unwrap_err().to_string();
    assert_eq!(
        error(swav().with_temperature(0.0)),
        "temperature is 0.0, expected a number above 0"
    );
    assert_eq!(
        error(swav().with_temperature(f64::NAN)),
        "temperature is NaN, expected a number above 0"
    );
    assert!(error(swav().with_sinkhorn_epsilon(-0.05)).starts_with("sinkhorn_epsilon is -0.05"));
    assert!(error(swav().with_sinkhorn_iterations(0)).starts_with("sinkhorn_iterations is 0"));
    assert!(error(swav().with_full_crops(0)).starts_with("full_crops is 0"));
    assert!(error(SwavConfig::new(backbone(), vec![16, 8], 1)).starts_with("prototypes is 1"));
    assert!(error(SwavConfig::new(backbone(), vec![0, 8], 10)).starts_with("projector is [0, 8]"));
    assert!(
        error(swav().with_queue(Some(QueueConfig::new(0, 0)))).starts_with("queue.length is 0")
    );
    let narrow = backbone().with_width(0);
    assert!(error(SwavConfig::new(narrow, vec![16, 8], 10)).starts_with("backbone.width is 0"));

    let error = |config: SgdConfig| config.validate().unwrap_err().to_string();
    assert!(error(SgdConfig::new().with_momentum(1.0)).starts_with("momentum is 1.0"));
    assert!(error(SgdConfig::new().with_weight_decay(-1e-6)).starts_with("weight_decay is -1e-6"));
    let larc = LarcConfig::new(SgdConfig::new())
        .with_trust(f64::NAN)
        .validate();
    let lars = LarsConfig::new(SgdConfig::new()).with_trust(0.0).validate();
    for (error, message) in [(larc, "trust is NaN"), (lars, "trust is 0.0")] {
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert!(
        LrSchedule::constant(-0.1)
            .unwrap_err()
            .to_string()
            .starts_with("learning_rate is -0.1")
    );
    assert!(LrSchedule::constant(f64::NAN).is_err());
    assert!(
        LrSchedule::cosine(1.0, 0.0, 0)
            .unwrap_err()
            .to_string()
            .starts_with("steps is 0")
    );
    assert!(
        LrSchedule::steps(1.0, [8, 8], 0.1)
            .unwrap_err()
            .to_string()
            .starts_with("milestones is [8, 8]")
    );
}

#[test]
fn options_of_the_two_view_methods_out_of_range_are_named() {
    let errors = [
        vicreg().with_variance_weight(-1.0).validate(),
        vicreg().with_covariance_weight(f64::NAN).validate(),
        barlow_twins().with_off_diagonal_weight(-0.1).validate(),
        VicRegConfig::new(backbone(), vec![]).validate(),
        SimSiamConfig::new(backbone(), vec![16, 16, 16], vec![0]).validate(),
    ];
    let messages = [
        "variance_weight is -1.0",
        "covariance_weight is NaN",
        "off_diagonal_weight is -0.1",
        "projector is []",
        "predictor_hidden is [0]",
    ];
    for (error, message) in errors.into_iter().zip(messages) {
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn an_invalid_option_panics_in_init_with_the_message_of_validate() {
    let config = swav().with_temperature(0.0);
    let message = config.validate().unwrap_err().to_string();
    assert_eq!(panic_of(|| drop(config.init(&Device::default()))), message);
    let sgd = SgdConfig::new().with_momentum(1.0);
    let message = sgd.validate().unwrap_err().to_string();
    assert_eq!(panic_of(|| drop(sgd.init())), message);
}

#[test]
fn too_many_prototypes_are_warned_of() {
    let method = swav().init(&Device::default());
    assert_eq!(method.warning(2), None);
    let many = SwavConfig::new(backbone(), vec![16, 8], 3000);
    let paper = many.init(&Device::default());
    assert_eq!(paper.warning(512), None);
    let warning = paper.warning(16).unwrap();
    assert!(
        warning.contains("3000 prototypes for codes of 16 samples") && !warning.contains('\n'),
        "{warning}"
    );
    let queue = many.with_queue(Some(QueueConfig::new(3584, 0)));
    assert_eq!(queue.init(&Device::default()).warning(16), None);
}

#[test]
fn views_that_do_not_fit_a_two_view_method_panic_with_their_shapes() {
    let device = Device::default().autodiff();
    let message = |views: Vec<Tensor<4>>| {
        let messages = [
            panic_of(|| drop(vicreg().init(&device).embed(views.clone()))),
            panic_of(|| drop(simsiam().init(&device).embed(views.clone()))),
            panic_of(|| drop(barlow_twins().init(&device).embed(views.clone()))),
        ];
        let [vicreg, simsiam, barlow] = messages;
        assert!(vicreg.starts_with("VICReg: ") && barlow.starts_with("Barlow Twins: "));
        assert_eq!(vicreg.replace("VICReg", "SimSiam"), simsiam);
        simsiam
    };
    assert!(message(views(4, &[16])).contains("expected 2 views, got 1"));
    assert!(message(views(4, &[16, 16, 8])).contains("expected 2 views, got 3"));
    assert!(message(views(1, &[16, 16])).contains("at least 2 images"));
    let color = (0..2)
        .map(|_| Tensor::ones([4, 3, 16, 16], &device))
        .collect();
    assert!(message(color).contains("1-channel images"));

    let mut method = vicreg().init(&device);
    let z = |shape: [usize; 2]| Tensor::<2>::ones(shape, &device);
    let message = panic_of(|| {
        method.loss(vec![z([4, 20]), z([4, 21])], RunPosition::default());
    });
    assert!(
        message.contains("[n >= 2, 20]") && message.contains("[4, 21]"),
        "{message}"
    );
    assert!(vicreg().init(&device).check_batch_size(1).is_err());
}

#[test]
fn batch_sizes_are_checked_before_training() {
    let method = |queue| swav().with_queue(queue).init(&Device::default());
    let queue = Some(QueueConfig::new(32, 0));
    assert!(method(queue).check_batch_size(16).is_ok());
    assert_eq!(
        method(queue).check_batch_size(12).unwrap_err().to_string(),
        "queue.length is 32, expected a multiple of the batch size"
    );
    assert!(method(queue).check_batch_size(64).is_err());
    assert!(method(None).check_batch_size(12).is_ok());
    assert!(method(None).check_batch_size(1).is_err());
}

#[test]
fn views_that_do_not_fit_panic_with_their_shapes() {
    let panic = |views| forward_panic(swav(), views);
    assert!(panic(views(4, &[16])).contains("expected at least 2 views"));
    assert!(
        forward_panic(swav().with_full_crops(3), views(4, &[16, 16]))
            .contains("expected at least 3 views")
    );
    assert!(panic(views(1, &[16, 16])).contains("a batch needs at least 2 images"));
    assert!(panic(views(4, &[16, 12])).contains("must have one resolution"));
    assert!(
        panic(views(4, &[16, 16, 8, 12, 8])).contains("must be adjacent, but [8, 8] comes again")
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
    let color = (0..2)
        .map(|_| Tensor::ones([4, 3, 16, 16], &device))
        .collect();
    assert!(panic(color).contains("1-channel images"));

    let queue = swav().with_queue(Some(QueueConfig::new(10, 0)));
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
fn states_that_do_not_fit_are_rejected() {
    let with_queue = swav().with_queue(Some(QueueConfig::new(8, 0)));
    let method = || with_queue.init(&Device::default().autodiff());
    let mut filled = method();
    filled.forward(views(4, &[16, 16]), RunPosition::default());
    let state = filled.state();
    assert_eq!(state.names().collect::<Vec<_>>(), ["queue.0", "queue.1"]);
    method().load_state(state.clone()).unwrap();
    method().load_state(MethodState::default()).unwrap();

    let error = |config: SwavConfig, state| {
        let mut method = config.init(&Device::default());
        method.load_state(state).unwrap_err().to_string()
    };
    assert!(error(swav(), state.clone()).contains("this configuration has none"));
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
