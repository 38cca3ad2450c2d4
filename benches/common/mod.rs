//! Shared by the peers of benches/peers.

/// A line of /proc/self/status, in MiB.
pub fn resident(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes.expect("a number").parse::<f64>().expect("KiB") / 1024.0
}
