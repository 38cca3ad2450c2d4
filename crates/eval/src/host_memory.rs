use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The memory of the machine in bytes. On Linux, the limit of the control group if it is lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostMemory {
    /// Total memory.
    pub total: u64,
    /// Memory available without swapping.
    pub available: u64,
}

impl HostMemory {
    /// The current values; `None` on unsupported systems.
    pub fn now() -> Option<Self> {
        let ram = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(ram).ok()?;
        let (total, available) = (system.total_memory(), system.available_memory());
        Some(match system.cgroup_limits() {
            Some(limits) => Self {
                total: total.min(limits.total_memory),
                available: available.min(limits.free_memory),
            },
            None => Self { total, available },
        })
    }
}
