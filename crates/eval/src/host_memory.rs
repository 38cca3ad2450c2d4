use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The memory of the machine, in bytes; on Linux, that of the control group where this one has less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostMemory {
    /// All of it.
    pub total: u64,
    /// What can be had without swapping.
    pub available: u64,
}

impl HostMemory {
    /// What the system says now; nothing on systems that are not known.
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
