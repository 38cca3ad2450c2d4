//! A whole run on a CubeCL device, beside the same on the CPU. `.ci/gpu` runs it on Mesa's software
//! Vulkan driver.

mod common;

use common::{run, small_plan, write_images};
use e2mc::StepMetrics;

#[test]
fn a_run_on_wgpu_reaches_its_report_with_the_numbers_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images);
    let mut plan = small_plan(&images);
    // Two steps of 30 images.
    (plan.epochs, plan.batch_size) = (1, 30);
    plan.probes.truncate(1);
    plan.probes[0].draws = 1;
    let mut steps = Vec::new();
    for device in ["flex", "wgpu"] {
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
    for (cpu, gpu) in steps[0].iter().zip(&steps[1]) {
        assert!(gpu.skipped.is_none());
        for (name, cpu, gpu) in [
            ("loss", cpu.loss, gpu.loss),
            ("entropy", cpu.entropy, gpu.entropy),
            ("covariance", cpu.covariance, gpu.covariance),
            ("gradient norm", cpu.gradient_norm, gpu.gradient_norm),
        ] {
            let error = (gpu / cpu - 1.0).abs();
            println!("{name}: {gpu} on wgpu, {cpu} on flex, off by {error:.1e}");
            // Sums in another order, and one step of learning from them.
            assert!(
                error < 1e-2,
                "{name} is {gpu} on wgpu, {cpu} on flex: off by {error:e}"
            );
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
    for (path, value, device, expected) in [
        ("device", "wgpu:99", "wgpu:99", "the "),
        (
            "device",
            "flex,wgpu:0",
            "flex,wgpu:0",
            "devices of one backend",
        ),
        (
            "device",
            "wgpu:0,wgpu:0",
            "wgpu:0,wgpu:0",
            "each device once",
        ),
        (
            "device",
            "wgpu,wgpu:0",
            "wgpu,wgpu:0",
            "each device with its index",
        ),
        (
            "precision",
            "bf16",
            "wgpu",
            "f32: wgpu does not compute in it",
        ),
        ("micro_batch", "auto", "wgpu", "--device-memory"),
    ] {
        let mut plan = plan.with_setting(path, value).unwrap();
        plan.device = device.into();
        let output = folder.path().join("run");
        let error = run(&plan, &output).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{path} is {value}, expected")) && error.contains(expected),
            "{error}"
        );
        assert!(!output.exists());
    }
}
