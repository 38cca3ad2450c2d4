//! Plans as files and as options, and their errors.

mod common;

use std::path::Path;

use common::{CHECKPOINT, assert_rejected, program, run, small_plan, text, write_images};
use e2mc::data::Recipe;
use e2mc::plan::CheckpointStart;
use e2mc::{Error, Plan, Preset};

fn rejected(arguments: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let mut command = program();
    command.arg("continue").args(arguments).arg("--output");
    assert_rejected(&command.arg(&output).output().unwrap(), &output, parts);
}

#[test]
fn every_preset_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    for preset in Preset::ALL {
        let continuation = preset.continuation(CheckpointStart::new("file.pth"));
        for plan in [continuation, preset.pretraining()] {
            plan.validate().unwrap();
            let file = folder.path().join("plan.json");
            plan.write(&file).unwrap();
            assert_eq!(Plan::read(&file).unwrap(), plan, "{preset}");
            assert_eq!(preset.name().parse::<Preset>().unwrap(), preset);
        }
    }
}

#[test]
fn presets_have_the_papers_settings() {
    // App. B.1 of the paper.
    let json = |preset: Preset| {
        serde_json::to_value(preset.continuation(CheckpointStart::new("file.pth"))).unwrap()
    };
    let get = |preset, path: &str| json(preset).pointer(path).unwrap().clone();
    for preset in [Preset::Swav800, Preset::Swav400] {
        assert_eq!(get(preset, "/schedule/learning_rate"), 0.001);
        assert_eq!(get(preset, "/optimizer/rule/larc/trust"), 0.001);
        assert_eq!(get(preset, "/optimizer/rule/larc/sgd/weight_decay"), 1e-6);
        assert_eq!(get(preset, "/method/swav/queue/batches"), 3584 / 512);
        assert_eq!(get(preset, "/method/swav/queue/start_epoch"), 7);
        assert_eq!(
            get(preset, "/branches/1/criterion/e2mc/entropy_weight"),
            1.0
        );
        assert_eq!(
            get(preset, "/branches/1/criterion/e2mc/covariance_weight"),
            25.0
        );
        assert_eq!(get(preset, "/start/checkpoint/resume"), false);
    }
    assert_eq!(get(Preset::Vicreg1000, "/schedule/learning_rate"), 0.003);
    assert_eq!(get(Preset::Vicreg1000, "/optimizer/rule/lars/trust"), 0.001);
    assert_eq!(get(Preset::Vicreg1000, "/start/checkpoint/resume"), true);
    assert_eq!(
        get(Preset::Vicreg1000, "/probes/0/settings/weight_decay"),
        1e-4
    );
    assert_eq!(
        get(Preset::Vicreg1000, "/probes/2/settings/weight_decay"),
        1e-6
    );
    assert_eq!(get(Preset::SimSiam100, "/schedule/learning_rate"), 0.001);
    assert_eq!(
        get(Preset::SimSiam100, "/optimizer/rule/sgd/weight_decay"),
        1e-4
    );
    assert_eq!(
        get(Preset::SimSiam100, "/optimizer/part_rates/predictor"),
        0.1
    );
    assert_eq!(
        get(Preset::SimSiam100, "/probes/0/settings/learning_rate"),
        2.0
    );
    assert_eq!(
        get(Preset::SimSiam100, "/probes/1/settings/batch_size"),
        2048
    );
    for preset in [Preset::Swav800, Preset::Vicreg1000, Preset::SimSiam100] {
        assert_eq!(get(preset, "/batch_size"), 512);
        assert_eq!(get(preset, "/epochs"), 10);
        assert_eq!(get(preset, "/schedule/decay"), "constant");
    }
}

/// A plan file with its text changed.
fn altered(folder: &Path, from: &str, to: &str) -> String {
    let file = folder.join("plan.json");
    small_plan(folder).write(&file).unwrap();
    let json = std::fs::read_to_string(&file).unwrap();
    assert!(json.contains(from), "{json}");
    std::fs::write(&file, json.replacen(from, to, 1)).unwrap();
    file.to_str().unwrap().into()
}

#[test]
fn plan_files_that_do_not_fit_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, part) in [
        (
            "\"epochs\": 3,",
            "\"epochs\": 3, \"epoch\": 4,",
            "unknown field `epoch`",
        ),
        ("\"epochs\": 3,", "", "missing field `epochs`"),
        ("\"version\": 1,", "\"version\": 2,", "use a later e2mc"),
        ("\"version\": 1,", "", "it has no `version`"),
        ("\"epochs\": 3,", "\"epochs\": 3", "not JSON"),
        ("\"f32\"", "\"f16\"", "unknown variant `f16`"),
    ] {
        let file = altered(folder.path(), from, to);
        rejected(&["--plan", &file], &["plan.json", part]);
    }
    rejected(
        &["--plan", "nowhere.json"],
        &["nowhere.json", "cannot be read"],
    );
}

#[test]
fn a_plan_is_given_back_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small_plan(folder.path());
    let file = folder.path().join("plan.json");
    plan.write(&file).unwrap();
    let dry_run = |arguments: &[&str]| {
        let mut command = program();
        command.args(["continue", "--dry-run", "--plan"]).arg(&file);
        let result = command.args(arguments).output().unwrap();
        assert!(result.status.success(), "{}", text(&result.stderr));
        serde_json::from_slice::<Plan>(&result.stdout).unwrap()
    };
    assert_eq!(dry_run(&[]), plan);
    let changed = dry_run(&["--epochs", "7", "--set", "optimizer.rule.sgd.momentum=0.8"]);
    let expected = plan.with_setting("epochs", "7").unwrap();
    let expected = expected
        .with_setting("optimizer.rule.sgd.momentum", "0.8")
        .unwrap();
    assert_eq!(changed, expected);
    assert_ne!(changed, plan);
    let grid = dry_run(&["--weights", "1:25,0.3:8", "--criteria", "mmcr"]);
    let names: Vec<&str> = grid.branches.iter().map(|branch| &*branch.name).collect();
    assert_eq!(names, ["continued", "mmcr", "e2mc-1-25", "e2mc-0.3-8"]);
}

#[test]
fn settings_that_do_not_exist_or_fit_are_rejected() {
    rejected(
        &["--set", "optimizer.rule.sgd.momentums=0.8"],
        &["optimizer.rule.sgd.momentums", "momentum, weight_decay"],
    );
    rejected(
        &["--set", "epochs=many"],
        &["setting epochs cannot be many"],
    );
    rejected(&["--set", "epochs"], &["expected PATH=VALUE"]);
    rejected(
        &["--set", "optimizer.part_rates={\"predictor\": 0.1}"],
        &["projection_head"],
    );
}

#[test]
fn a_checkpoint_of_another_method_than_the_preset() {
    rejected(
        &["--checkpoint", CHECKPOINT, "--preset", "vicreg-small"],
        &["swav_fashion_mnist", "a checkpoint of SwAV", "for VICReg"],
    );
    let torchvision = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/reference/resnet/torchvision.pth"
    );
    rejected(
        &["--checkpoint", torchvision],
        &["torchvision.pth", "projector"],
    );
}

#[test]
fn branches_named_twice_or_badly() {
    rejected(&["--criteria", "e2mc,e2mc"], &["e2mc", "given twice"]);
    rejected(&["--set", "branches.0.name=base"], &["not `base`"]);
    rejected(&["--set", "branches.0.name=../up"], &["../up", "letters"]);
}

#[test]
fn views_that_the_method_does_not_take() {
    let folder = tempfile::tempdir().unwrap();
    write_images(&folder.path().join("images"));
    let mut plan = small_plan(&folder.path().join("images"));
    plan.recipe = Recipe::eval_small();
    let output = folder.path().join("run");
    let error = run(&plan, &output).unwrap_err();
    assert!(error.to_string().contains("at least 2 views"), "{error}");
    for preset in [Preset::VicregSmall, Preset::SimSiamSmall] {
        let mut plan = preset.pretraining();
        plan.recipe = Recipe::swav_small();
        let error = plan.validate().unwrap_err();
        assert!(
            matches!(
                error,
                Error::InvalidOption {
                    option: "recipe",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn wrong_options_exit_with_2_and_failures_with_1() {
    let code = |arguments: &[&str]| program().args(arguments).output().unwrap().status.code();
    assert_eq!(code(&["continue", "--epochs", "0"]), Some(2));
    assert_eq!(code(&["continue", "--epoch", "1"]), Some(2));
    assert_eq!(code(&["continue", "--checkpoint", "nowhere.pth"]), Some(1));
    assert_eq!(code(&["continue", "--resume", "nowhere"]), Some(1));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["completions", "bash"]), Some(0));
}

#[test]
fn options_that_would_be_ignored_are_rejected() {
    let rejected = |arguments: &[&str], parts: [&str; 2]| {
        let result = program().arg("continue").args(arguments).output().unwrap();
        let message = text(&result.stderr);
        assert_eq!(result.status.code(), Some(2), "{message}");
        assert!(message.contains("cannot be used with"), "{message}");
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    };
    rejected(
        &["--resume", "run", "--epochs", "4"],
        ["--resume", "--epochs"],
    );
    rejected(
        &["--resume", "run", "--output", "other"],
        ["--resume", "--output"],
    );
    rejected(
        &["--plan", "plan.json", "--preset", "swav-small"],
        ["--plan", "--preset"],
    );
    rejected(
        &["--plan", "plan.json", "--stem-stride", "2"],
        ["--plan", "--stem-stride"],
    );
    rejected(
        &["--no-probes", "--labels", "1%"],
        ["--no-probes", "--labels"],
    );
}
