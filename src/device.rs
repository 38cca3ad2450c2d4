use burn::tensor::Device;

use crate::Error;

/// The backends of this build, by name.
pub fn compiled_devices() -> Vec<&'static str> {
    let all = [
        ("flex", cfg!(feature = "flex")),
        ("cuda", cfg!(feature = "cuda")),
        ("rocm", cfg!(feature = "rocm")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("metal", cfg!(feature = "metal")),
    ];
    let compiled = all.into_iter().filter(|(_, compiled)| *compiled);
    compiled.map(|(name, _)| name).collect()
}

/// The device of a name: `flex` (the CPU), or `cuda`, `rocm`, `wgpu`, `vulkan` or `metal` if the
/// program was built with the feature of that name.
///
/// # Errors
/// If the name is unknown or its backend is not compiled in. The message lists the names of this
/// build.
pub fn parse_device(name: &str) -> Result<Device, Error> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(0)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        _ => {
            let names = compiled_devices().join(", ");
            let expected = format!(
                "one of the backends in this build ({names}); build with the feature cuda, wgpu, \
                 vulkan, metal or rocm for another"
            );
            Err(Error::invalid("device", name, expected))
        }
    }
}
