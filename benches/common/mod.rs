//! Shared by the peers of benches/peers.

use burn::tensor::Device;
use e2mc::parse_device;

/// The device of the program's argument, such as `cuda`; without one, the CPU.
pub fn device() -> Device {
    // `cargo bench` and `cargo test` give an argument of their own.
    let name = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    parse_device(name.as_deref().unwrap_or("flex")).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until the device has done its work.
pub fn wait(device: &Device) {
    device.sync().unwrap_or_else(|error| panic!("{error}"));
}

/// The memory that `work` takes, in MiB. On the CPU, the peak growth of the resident set (Linux
/// only); on a GPU, what its allocator holds afterwards, which includes what came before.
pub fn memory(device: &Device, work: impl FnOnce()) -> f64 {
    if device.memory_pool_usage().is_some() {
        work();
        wait(device);
        let usage = device.memory_pool_usage().unwrap_or_default();
        return usage.bytes_reserved as f64 / f64::from(1 << 20);
    }
    std::fs::write("/proc/self/clear_refs", "5").expect("resets VmHWM");
    let before = resident("VmRSS");
    work();
    resident("VmHWM") - before
}

/// A line of /proc/self/status, in MiB.
fn resident(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes.expect("a number").parse::<f64>().expect("KiB") / 1024.0
}
