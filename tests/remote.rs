//! Training over servers of other machines, here two processes on loopback. `.ci/remote` runs it.

mod common;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{assert_rejected, program, text, write_images};
use e2mc::StepMetrics;
use tempfile::TempDir;

const TOKEN: &str = "a secret of both";

/// `e2mc serve` in a process, killed when dropped.
struct Server {
    process: Child,
    /// Its name on a client.
    device: String,
}

impl Server {
    /// Over WebSocket, on a port that the system chooses if `port` is 0.
    fn start(port: u16) -> Self {
        Self::with(&["--listen", &format!("127.0.0.1:{port}")])
    }

    /// Over Iroh, without relays.
    fn encrypted(key: &Path) -> Self {
        let free = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        Self::with(&["--iroh", key.to_str().unwrap(), "--port", &port])
    }

    fn with(arguments: &[&str]) -> Self {
        let mut process = program()
            .args(["serve", "--device", "flex"])
            .args(arguments)
            .env("E2MC_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let device = line.split(' ').find(|word| word.starts_with("remote:"));
        let device = device.unwrap_or_else(|| panic!("no device in {line:?}"));
        Self {
            process,
            device: device.replace("ADDRESS", "127.0.0.1"),
        }
    }

    fn device(&self) -> String {
        self.device.clone()
    }

    fn port(&self) -> u16 {
        self.device.rsplit(':').next().unwrap().parse().unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_images(&folder.path().join("images"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, output: &Path, device: &str, more: &[&str]) -> Command {
        let mut command = program();
        command
            .args(["continue", "--no-probes", "--batch-size", "30", "--data"])
            .arg(self.path("images"))
            .args(["--device", device, "--output"])
            .arg(output)
            .args(more)
            .env("E2MC_TOKEN", TOKEN)
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, output: &Path, device: &str, more: &[&str]) -> Output {
        self.command(output, device, more).output().unwrap()
    }
}

/// The steps of both branches.
fn steps(output: &Path) -> Vec<StepMetrics> {
    let branches = ["continued", "e2mc"].into_iter();
    let texts = branches.map(|branch| {
        let file = output.join(format!("metrics-{branch}.jsonl"));
        std::fs::read_to_string(file).unwrap_or_default()
    });
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>())
        .collect();
    let read = |line: &String| serde_json::from_str(line).ok();
    lines.iter().filter_map(read).collect()
}

/// Until the run has taken two steps.
fn wait_for_steps(output: &Path) {
    let begun = Instant::now();
    while steps(output).len() < 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "no step is taken"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn assert_success(result: &Output) {
    assert!(result.status.success(), "{}", text(&result.stderr));
}

fn assert_same_steps(found: &[StepMetrics], expected: &[StepMetrics]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(
            (&found.branch, found.step),
            (&expected.branch, expected.step)
        );
        for (name, found, expected) in [
            ("loss", found.loss, expected.loss),
            ("entropy", found.entropy, expected.entropy),
            ("gradient norm", found.gradient_norm, expected.gradient_norm),
        ] {
            let error = (found / expected - 1.0).abs();
            println!("{name}: {found}, expected {expected}, off by {error:.1e}");
            // Other convolutions compute on the servers, with other orders of summation.
            assert!(error < 1e-3, "{name} is {found}, expected {expected}");
        }
    }
}

#[test]
fn two_servers_and_this_machine_train_as_one_device_with_the_same_pieces() {
    let bench = Bench::new();
    let servers = [Server::start(0), Server::start(0)];
    let [one, three] = ["one", "three"].map(|name| bench.path(name));
    let alone = ["--epochs", "1", "--micro-batch", "10"];
    assert_success(&bench.run(&one, "flex", &alone));
    let devices = format!("flex,{},{}", servers[0].device(), servers[1].device());
    let start = Instant::now();
    assert_success(&bench.run(&three, &devices, &["--epochs", "1"]));
    println!("with two servers: {:?}", start.elapsed());
    let expected = steps(&one);
    assert_eq!(expected.len(), 4);
    assert_same_steps(&steps(&three), &expected);
}

#[test]
fn synchronized_over_two_servers_they_train_as_one_device_with_the_whole_batch() {
    let bench = Bench::new();
    let servers = [Server::start(0), Server::start(0)];
    let [one, three] = ["one", "three"].map(|name| bench.path(name));
    assert_success(&bench.run(&one, "flex", &["--epochs", "1"]));
    let devices = format!("flex,{},{}", servers[0].device(), servers[1].device());
    let synchronized = ["--epochs", "1", "--sync-batch-norm"];
    assert_success(&bench.run(&three, &devices, &synchronized));
    let expected = steps(&one);
    assert_eq!(expected.len(), 4);
    assert_same_steps(&steps(&three), &expected);
}

#[test]
fn a_synchronized_run_names_the_server_that_is_killed() {
    let bench = Bench::new();
    let mut servers = [Server::start(0), Server::start(0)];
    let output = bench.path("run");
    let devices = format!("flex,{},{}", servers[0].device(), servers[1].device());
    let arguments = ["--epochs", "3", "--criteria", "none", "--sync-batch-norm"];
    let mut command = bench.command(&output, &devices, &arguments);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    wait_for_steps(&output);
    servers[1].kill();
    let result = run.wait_with_output().unwrap();
    let message = text(&result.stderr);
    assert!(message.contains("device 3 of 3 failed"), "{message}");
}

#[test]
fn an_encrypted_server_takes_the_same_steps_and_rejects_other_tokens() {
    let bench = Bench::new();
    let key = bench.path("server.key");
    let server = Server::encrypted(&key);
    let [one, two, rejected] = ["one", "two", "rejected"].map(|name| bench.path(name));
    let epoch = ["--epochs", "1", "--criteria", "none"];
    let alone = [&epoch[..], &["--micro-batch", "15"]].concat();
    assert_success(&bench.run(&one, "flex", &alone));
    let devices = format!("flex,{}", server.device());
    let start = Instant::now();
    assert_success(&bench.run(&two, &devices, &epoch));
    println!("with an encrypted server: {:?}", start.elapsed());
    let expected = steps(&one);
    assert_eq!(expected.len(), 2);
    assert_same_steps(&steps(&two), &expected);

    let mut command = bench.command(&rejected, &devices, &epoch);
    let result = command.env("E2MC_TOKEN", "a guess").output().unwrap();
    assert_rejected(
        &result,
        &rejected,
        &["--device is", "rejected the credential"],
    );
    // The same file gives the same id.
    let name = server.device();
    let id = |name: &str| name.split('@').next().unwrap().to_string();
    drop(server);
    assert_eq!(id(&Server::encrypted(&key).device()), id(&name));
}

#[test]
fn a_server_that_is_killed_ends_the_run_which_resumes_with_or_without_it() {
    let bench = Bench::new();
    let mut server = Server::start(0);
    let [whole, killed, without] = ["whole", "killed", "without"].map(|name| bench.path(name));
    let devices = format!("flex,{}", server.device());
    // One branch of six steps.
    let epochs = ["--epochs", "3", "--criteria", "none"];
    assert_success(&bench.run(&whole, &devices, &epochs));

    let mut command = bench.command(&killed, &devices, &epochs);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    wait_for_steps(&killed);
    server.kill();
    let result = run.wait_with_output().unwrap();
    let message = text(&result.stderr);
    assert!(!result.status.success(), "{message}");
    let error = message.lines().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error in: {message}"));
    assert!(error.contains("device 2 of 2 failed"), "{error}");
    let taken = steps(&killed).len();
    assert!(taken < 6, "the run had ended");

    copy_folder(&killed, &without);
    let resume = |folder: &Path, more: &[&str]| {
        let mut command = program();
        command.arg("continue").arg("--resume").arg(folder);
        command.args(more).env("E2MC_TOKEN", TOKEN);
        command.output().unwrap()
    };
    let port = server.port();
    drop(server);
    let alone = resume(&without, &["--device", "flex"]);
    assert_success(&alone);
    let note = text(&alone.stderr);
    assert!(
        note.contains("resumed on flex: batch normalization sees as many images"),
        "{note}"
    );

    let _server = Server::start(port);
    assert_success(&resume(&killed, &[]));
    let expected = steps(&whole);
    assert_eq!(expected.len(), 6);
    // The steps before it was killed, too: none was lost or repeated.
    assert_same_steps(&steps(&killed), &expected);
    assert_same_steps(&steps(&without), &expected);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &copy),
            false => drop(std::fs::copy(entry.path(), copy).unwrap()),
        }
    }
}

#[test]
fn servers_that_cannot_be_used_are_rejected_before_the_run() {
    let bench = Bench::new();
    let server = Server::start(0);
    let output = bench.path("run");
    let devices = format!("flex,{}", server.device());
    let mut command = bench.command(&output, &devices, &[]);
    let result = command.env("E2MC_TOKEN", "a guess").output().unwrap();
    assert_rejected(
        &result,
        &output,
        &["--device is", "rejected the credential"],
    );
    let result = command.env_remove("E2MC_TOKEN").output().unwrap();
    assert_rejected(
        &result,
        &output,
        &["--device is", "rejected the credential"],
    );

    let result = bench.run(&output, &format!("{devices}#1"), &[]);
    assert_rejected(&result, &output, &["hosts only 1 device"]);
    let result = bench.run(&output, &server.device(), &[]);
    assert_rejected(&result, &output, &["a device of this machine first"]);
    let result = bench.run(&output, &format!("{devices},{}", server.device()), &[]);
    assert_rejected(&result, &output, &["each device once"]);
    let result = bench.run(&output, "flex,remote:gpu", &[]);
    assert_rejected(&result, &output, &["remote:ws://HOST:PORT"]);
    let result = bench.run(&output, "flex,remote:gpu@127.0.0.1:1", &[]);
    assert_rejected(&result, &output, &["remote:ID@ADDRESS:PORT"]);

    // Bound, so that nobody else answers there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = closed.local_addr().unwrap();
    let serve = |arguments: &[&str]| {
        let mut command = program();
        command
            .arg("serve")
            .args(arguments)
            .env_remove("E2MC_TOKEN");
        let result = command.output().unwrap();
        assert!(!result.status.success());
        text(&result.stderr)
    };
    let message = serve(&["--token", TOKEN, "--listen", &taken.to_string()]);
    assert!(message.contains("--listen is 127.0.0.1"), "{message}");
    let message = serve(&["--listen", "127.0.0.1:0"]);
    assert!(message.contains("--token is empty"), "{message}");
    let message = serve(&["--token", TOKEN, "--device", "abacus"]);
    assert!(message.contains("--device is abacus"), "{message}");
    let message = serve(&["--token", TOKEN, "--device", &devices]);
    assert!(message.contains("devices of this machine"), "{message}");
}
