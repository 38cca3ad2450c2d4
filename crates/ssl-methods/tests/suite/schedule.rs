use burn::lr_scheduler::LrScheduler;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{ParamGroup, ParamId};
use ssl_methods::optim::LrSchedule;

#[test]
fn constant_stays_also_above_one() {
    let mut schedule = LrSchedule::constant(4.8).unwrap();
    assert!((0..5).all(|_| schedule.next_rate() == 4.8));
}

#[test]
fn cosine_goes_from_rate_to_end_and_stays() {
    // PyTorch's CosineAnnealingLR(T_max=4, eta_min=0.2) from 5.0, by its closed form.
    let schedule = LrSchedule::cosine(5.0, 0.2, 4).unwrap();
    let expected = [
        5.0,
        4.297_056_274_847_714,
        2.6,
        0.902_943_725_152_286_4,
        0.2,
        0.2,
        0.2,
    ];
    for (step, rate) in expected.into_iter().enumerate() {
        assert!((schedule.rate_at(step) - rate).abs() < 1e-12, "step {step}");
    }
}

#[test]
fn warm_up_comes_before_the_cosine() {
    let schedule = LrSchedule::cosine(2.0, 0.0, 10)
        .unwrap()
        .with_warmup(0.5, 3)
        .unwrap();
    let rates: Vec<_> = [0, 1, 2, 3, 8, 13]
        .map(|step| schedule.rate_at(step))
        .into();
    let expected = [0.5, 1.0, 1.5, 2.0, 1.0, 0.0];
    assert!(
        rates
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-12),
        "{rates:?}"
    );
}

#[test]
fn steps_fall_at_each_milestone_after_the_warm_up() {
    // PyTorch's MultiStepLR(milestones=[2, 5], gamma=0.2) from 5.0.
    let schedule = LrSchedule::steps(5.0, [2, 5], 0.2).unwrap();
    let expected = [5.0, 5.0, 1.0, 1.0, 1.0, 0.2, 0.2];
    let warm = schedule.clone().with_warmup(0.0, 10).unwrap();
    for (step, rate) in expected.into_iter().enumerate() {
        assert!((schedule.rate_at(step) - rate).abs() < 1e-12, "step {step}");
        assert_eq!(warm.rate_at(10 + step), schedule.rate_at(step));
    }
    assert_eq!(warm.rate_at(5), 2.5);
}

#[test]
fn groups_have_schedules_of_their_own() {
    let groups = ParamGroup::from_predicate("predictor");
    let mut schedule = ModuleLrScheduler::new(LrSchedule::cosine(2.0, 0.0, 4).unwrap())
        .with_group(groups, LrSchedule::constant(5.0).unwrap());
    for expected in [2.0, 1.0 + 0.5f64.sqrt(), 1.0] {
        let rates = schedule.step();
        let rate = |path| rates.lr_from_param(ParamId::new(), Some(path));
        assert!((rate("encoder.conv1.weight") - expected).abs() < 1e-12);
        assert_eq!(rate("predictor.0.weight"), 5.0);
    }
}

#[test]
fn records_keep_the_position() {
    let new = || ModuleLrScheduler::new(LrSchedule::cosine(4.8, 0.0, 20).unwrap());
    let mut schedule = new();
    for _ in 0..7 {
        schedule.step();
    }
    let mut restored = new().load_record(schedule.to_record());
    for _ in 0..7 {
        assert_eq!(schedule.step().base(), restored.step().base());
    }
    let mut alone = LrSchedule::constant(1.0).unwrap();
    let record = alone.to_record();
    alone.load_record(record);
}
