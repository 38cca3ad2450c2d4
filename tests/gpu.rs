//! A whole run on a GPU's backend, beside the same on the CPU. `.ci/gpu` runs it, without a GPU on
//! Mesa's software Vulkan driver.

mod common;

use common::{run, small_plan, write_images};
use e2mc::{StepMetrics, compiled_devices};

/// The first GPU backend of this build.
fn gpu() -> &'static str {
    let found = compiled_devices().into_iter().find(|name| *name != "flex");
    found.expect("a build with a GPU feature")
}

#[test]
fn a_run_on_the_gpu_reaches_its_report_with_the_numbers_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = small_plan(&images);
    // Two steps of 30 images.
    (plan.epochs, plan.batch_size) = (1, 30);
    plan.probes.truncate(1);
    plan.probes[0].draws = 1;
    let mut steps = Vec::new();
    for device in ["flex", gpu()] {
        plan.device = device.into();
        let output = folder.path().join(device);
        let results = run(&plan, &output).unwrap();
        assert!(output.join("report.html").exists() && output.join("results.json").exists());
        assert!(!results.backbones.is_empty());
        let mut of_run: Vec<StepMetrics> = Vec::new();
        for branch in &plan.branches {
            let metrics = output.join(format!("metrics-{}.jsonl", branch.name));
            let text = std::fs::read_to_string(metrics).unwrap();
            of_run.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
        }
        assert_eq!(of_run.len(), 2 * plan.branches.len());
        steps.push(of_run);
    }
    for (cpu, of_gpu) in steps[0].iter().zip(&steps[1]) {
        assert!(of_gpu.skipped.is_none());
        for (name, cpu, of_gpu) in [
            ("loss", cpu.loss, of_gpu.loss),
            ("entropy", cpu.entropy, of_gpu.entropy),
            ("covariance", cpu.covariance, of_gpu.covariance),
            ("gradient norm", cpu.gradient_norm, of_gpu.gradient_norm),
        ] {
            let error = (of_gpu / cpu - 1.0).abs();
            let both = format!("{name}: {of_gpu} on {}, {cpu} on flex", gpu());
            println!("{both}, off by {error:.1e}");
            // Sums in another order, and one step of learning from them.
            assert!(error < 1e-2, "{both}: off by {error:e}");
        }
    }
}

/// What the CPU's tests cannot try: an index beyond the devices, two backends, and a device without
/// bf16. Each is rejected before the run folder exists.
#[test]
fn devices_that_cannot_be_used_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let plan = small_plan(&images);
    let gpu = gpu();
    let device = |list: String, expected| ("device", list.clone(), list, expected);
    let mut cases = vec![
        device(format!("{gpu}:99"), "the "),
        device(format!("flex,{gpu}:0"), "devices of one backend"),
        device(format!("{gpu}:0,{gpu}:0"), "each device once"),
        device(format!("{gpu},{gpu}:0"), "each device with its index"),
        ("micro_batch", "auto".into(), gpu.into(), "--device-memory"),
    ];
    if gpu == "wgpu" {
        let expected = "f32: wgpu does not compute in it";
        cases.push(("precision", "bf16".into(), gpu.into(), expected));
    }
    for (path, value, device, expected) in cases {
        let mut plan = plan.with_setting(path, &value).unwrap();
        plan.device = device;
        let output = folder.path().join("run");
        let error = run(&plan, &output).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{path} is {value}, expected")) && error.contains(expected),
            "{error}"
        );
        assert!(!output.exists());
    }
}
