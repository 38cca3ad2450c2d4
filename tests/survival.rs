//! A resumed run ends with the same files as an uninterrupted one, whether it was killed, ran out
//! of disk space or was stopped.
//!
//! `E2MC_KILLS=20 cargo test --release --test survival` kills at more moments.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{assert_same_run, files, program, text, write_images};
use tempfile::TempDir;

/// Small images, and an uninterrupted run on them.
struct Bench {
    folder: TempDir,
    lasted: Duration,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_images(&folder.path().join("images"));
        let mut bench = Self {
            folder,
            lasted: Duration::ZERO,
        };
        let start = Instant::now();
        let status = bench.command(&bench.path("whole")).status().unwrap();
        assert!(status.success());
        bench.lasted = start.elapsed();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command of the run.
    fn command(&self, output: &Path) -> Command {
        let mut command = program();
        command
            .args(["continue", "--epochs", "3", "--batch-size", "16"])
            .args(["--labels", "10%,1/class,100%", "--label-draws", "2"])
            .args(["--monitor-every", "2", "--probe-every", "1", "--data"])
            .arg(self.path("images"))
            .arg("--output")
            .arg(output)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The same, with a state saved every other step.
    fn saving_command(&self, output: &Path) -> Command {
        let mut command = self.command(output);
        command.args(["--save-every-steps", "2"]);
        command
    }

    /// Finishes the interrupted run in `output`, and compares it with the uninterrupted one.
    fn resume_and_compare(&self, output: &Path) {
        let result = self
            .command(output)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let message = text(&result.stderr);
        if result.status.code() == Some(1) && message.contains("finished run") {
            // It was interrupted after its last file.
        } else {
            assert!(result.status.success(), "{message}");
        }
        assert_same_run(&self.path("whole"), output);
    }
}

/// Random numbers that need no crate: the high bits of a linear congruential generator.
fn random(state: &mut u64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

/// Waits for an event in a run. Fails if it takes too long.
fn wait_for(happened: impl Fn() -> bool, what: &str) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_at_most(child: &mut Child, time: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_same_files() {
    let bench = Bench::new();
    let kills: usize = std::env::var("E2MC_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let mut state = 0x5eed;
    let mut disturbed = 0;
    for kill in 0..kills {
        let output = bench.path(&format!("killed-{kill}"));
        // Killed and resumed until it finishes. One run may be killed several times.
        for _ in 0..3 {
            let mut child = bench.saving_command(&output).spawn().unwrap();
            let moment = bench.lasted.mul_f64(random(&mut state));
            let ended = wait_at_most(&mut child, moment);
            child.kill().unwrap();
            child.wait().unwrap();
            disturbed += usize::from(!ended);
            if ended {
                break;
            }
        }
        bench.resume_and_compare(&output);
    }
    assert!(disturbed > 0, "every run ended before it was killed");
}

#[cfg(unix)]
#[test]
fn a_run_told_to_stop_while_it_probes_is_resumed() {
    let bench = Bench::new();
    let output = bench.path("probing");
    let child = bench.command(&output).spawn().unwrap();
    wait_for(
        || output.join("embeddings-base.safetensors").exists(),
        "the run did not begin",
    );
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
    assert!(
        !output.join("metrics-e2mc.jsonl").exists(),
        "it was stopped too late"
    );
    bench.resume_and_compare(&output);
}

#[test]
fn a_run_that_cannot_be_resumed_says_what_changed() {
    let bench = Bench::new();
    let stopped = |name: &str| {
        let output = bench.path(name);
        let mut child = bench.saving_command(&output).spawn().unwrap();
        wait_for(
            || output.join("checkpoints/continued-step-2").exists(),
            "no state was saved",
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let trained = output.join("checkpoints/continued.safetensors");
        assert!(!trained.exists(), "it was killed too late");
        output
    };
    let rejected = |command: &mut Command, parts: &[&str]| {
        let result = command.stderr(Stdio::piped()).output().unwrap();
        let message = text(&result.stderr);
        assert!(!result.status.success());
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    };
    let output = stopped("changed");
    let mut command = bench.command(&output);
    rejected(command.args(["--seed", "7"]), &["seed: 0, now 7"]);

    // Another spelling of the same folder is not a change, but a changed image is.
    let images = bench.path("images");
    let file = images.join("train-images-idx3-ubyte");
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = bytes.clone();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    rejected(
        &mut bench.command(&output),
        &["the training data", "restore"],
    );
    std::fs::write(&file, whole).unwrap();

    // A folder with deleted parts.
    std::fs::remove_file(output.join("metrics-continued.jsonl")).unwrap();
    rejected(
        &mut bench.command(&output),
        &["metrics-continued.jsonl", "restore the file"],
    );
    std::fs::remove_file(output.join("plan.json")).unwrap();
    rejected(
        &mut bench.command(&output),
        &["it is not empty and contains no run"],
    );
    let mut resume = program();
    resume.args(["continue", "--resume"]).arg(&output);
    rejected(&mut resume, &["plan.json is missing"]);
}

#[test]
fn a_folder_that_cannot_be_written() {
    let bench = Bench::new();
    let file = bench.path("file");
    std::fs::write(&file, "").unwrap();
    let output = file.join("run");
    let result = bench
        .command(&output)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let message = text(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot be written"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_run_told_to_stop_saves_its_state_and_says_how_to_resume() {
    let bench = Bench::new();
    let output = bench.path("stopped");
    let child = bench
        .command(&output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = output.join("metrics-e2mc.jsonl");
    wait_for(
        || std::fs::read(&metrics).is_ok_and(|bytes| !bytes.is_empty()),
        "no step was taken",
    );
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let result = child.wait_with_output().unwrap();
    let message = text(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{message}");
    let resume = format!("e2mc continue --resume {}", output.display());
    assert!(message.contains(&resume), "{message}");
    assert!(
        files(&output).keys().any(|name| name.contains("-step-")),
        "no state was saved"
    );

    let status = program()
        .args(["continue", "--resume"])
        .arg(&output)
        .current_dir(bench.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert_same_run(&bench.path("whole"), &output);
}

#[test]
fn a_second_process_in_one_folder_is_rejected() {
    let bench = Bench::new();
    let output = bench.path("busy");
    let mut first = bench.command(&output).spawn().unwrap();
    wait_for(
        || output.join("plan.json").exists(),
        "the run did not begin",
    );
    let second = bench
        .command(&output)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let message = text(&second.stderr);
    assert!(message.contains("another process uses it"), "{message}");
    assert!(first.wait().unwrap().success());
    assert_same_run(&bench.path("whole"), &output);
}

/// A small file system, unmounted at the end.
#[cfg(target_os = "linux")]
struct Disk(PathBuf);

#[cfg(target_os = "linux")]
impl Disk {
    fn new(path: PathBuf, kilobytes: usize) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let disk = Self(path);
        disk.mount(&format!("size={kilobytes}k"));
        disk
    }

    fn mount(&self, options: &str) {
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.0);
        assert!(command.status().unwrap().success(), "mounting needs root");
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "mounts a file system, which needs root; .ci/run runs it"]
fn a_run_that_fills_the_disk_is_resumed_when_there_is_space() {
    let bench = Bench::new();
    let sizes: Vec<usize> = files(&bench.path("whole")).values().map(Vec::len).collect();
    let whole = sizes.iter().sum::<usize>() / 1024;
    let tries: usize = std::env::var("E2MC_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let mut failed = 0;
    for i in 0..tries {
        let disk = Disk::new(bench.path(&format!("disk-{i}")), 1 + whole * i / tries);
        let output = disk.0.join("run");
        let result = bench
            .saving_command(&output)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let message = text(&result.stderr);
        if !result.status.success() {
            failed += 1;
            assert!(message.contains("No space left"), "{message}");
            assert!(!message.contains("panicked"), "{message}");
        }
        disk.mount("remount,ro");
        let result = bench
            .command(&output)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let message = text(&result.stderr);
        assert_eq!(result.status.code(), Some(1), "{message}");
        assert!(!message.contains("panicked"), "{message}");
        disk.mount("remount,rw,size=200m");
        bench.resume_and_compare(&output);
    }
    assert!(failed > 0, "no disk was too small");
}
