use burn::tensor::Device;

use crate::{Error, Result};

/// A backend of this build.
struct Backend {
    name: &'static str,
    /// Its devices on this machine.
    devices: fn() -> Vec<Device>,
    /// The device that its name alone means.
    default: fn() -> Device,
}

/// The backends of this build.
fn backends() -> Vec<Backend> {
    vec![
        #[cfg(feature = "flex")]
        Backend {
            name: "flex",
            devices: || vec![Device::flex()],
            default: Device::flex,
        },
        #[cfg(feature = "cuda")]
        Backend {
            name: "cuda",
            devices: || all(burn::tensor::DeviceType::Cuda),
            default: || Device::cuda(0),
        },
        #[cfg(feature = "rocm")]
        Backend {
            name: "rocm",
            devices: || all(burn::tensor::DeviceType::Rocm),
            default: || Device::rocm(0),
        },
        #[cfg(feature = "wgpu")]
        Backend {
            name: "wgpu",
            devices: || all(burn::tensor::DeviceType::Wgpu),
            default: || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        },
        #[cfg(feature = "vulkan")]
        Backend {
            name: "vulkan",
            devices: || all(burn::tensor::DeviceType::Vulkan),
            default: || Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
        },
        #[cfg(feature = "metal")]
        Backend {
            name: "metal",
            devices: || all(burn::tensor::DeviceType::Metal),
            default: || Device::metal(burn::tensor::DeviceKind::DefaultDevice),
        },
    ]
}

#[cfg(feature = "cubecl")]
fn all(kind: burn::tensor::DeviceType) -> Vec<Device> {
    Device::enumerate(kind).iter().cloned().collect()
}

/// The backends of this build, by name.
pub fn compiled_devices() -> Vec<&'static str> {
    backends().iter().map(|backend| backend.name).collect()
}

/// The device of a name: `flex` (the CPU), or `cuda`, `rocm`, `wgpu`, `vulkan` or `metal` if the
/// program was built with the feature of that name. `cuda:1` is the second of several.
///
/// # Errors
///
/// If the name is unknown, its backend is not compiled in, or the machine has no such device. The
/// message lists the devices that exist. [`parse_devices`] reads a list of devices.
pub fn parse_device(name: &str) -> Result<Device> {
    if name.contains(',') {
        let expected = "one device: only training spreads over several";
        return Err(Error::invalid("device", name, expected));
    }
    if name.starts_with(REMOTE) {
        let expected = "a device of this machine: only training spreads over others";
        return Err(Error::invalid("device", name, expected));
    }
    let (backend_name, index) = match name.split_once(':') {
        Some((backend, index)) => (backend, Some(index)),
        None => (name, None),
    };
    let backends = backends();
    let Some(backend) = backends.iter().find(|known| known.name == backend_name) else {
        let names = compiled_devices().join(", ");
        let expected = format!(
            "one of the backends in this build ({names}); build with the feature cuda, wgpu, \
             vulkan, metal, rocm or remote for another"
        );
        return Err(Error::invalid("device", name, expected));
    };
    if backend_name == "flex" {
        return match index {
            None => Ok((backend.default)()),
            Some(_) => Err(Error::invalid(
                "device",
                name,
                "flex: the CPU is one device",
            )),
        };
    }
    let devices = (backend.devices)();
    if devices.is_empty() {
        let expected = format!(
            "a backend with a device: this machine shows none to {backend_name}; see docs/gpu.md"
        );
        return Err(Error::invalid("device", name, expected));
    }
    let Some(index) = index else {
        return Ok((backend.default)());
    };
    let found = index.parse().ok().and_then(|i: usize| devices.get(i));
    found.cloned().ok_or_else(|| {
        let last = devices.len() - 1;
        let expected = match last {
            0 => format!("{backend_name}:0, the only device of {backend_name} here"),
            _ => format!("{backend_name}:0 to {backend_name}:{last}, the devices here"),
        };
        Error::invalid("device", name, expected)
    })
}

/// The devices that a list such as `cuda:0,cuda:1` means, at least one; they share the batches of a
/// training. After the first, devices of other machines may follow: `remote:ws://host:3000`.
///
/// # Errors
///
/// Those of [`parse_device`]; if a device of several is given without its index, those of this
/// machine are of different backends, one is given twice, or the first is of another machine.
pub fn parse_devices(list: &str) -> Result<Vec<Device>> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    let error = |expected: &str| Err(Error::invalid("device", list, expected));
    if names[0].starts_with(REMOTE) {
        return error(
            "a device of this machine first, such as flex: it computes the loss of all devices",
        );
    }
    if let [name] = names[..] {
        return Ok(vec![parse_device(name)?]);
    }
    for (i, name) in names.iter().enumerate() {
        let (backend, _) = name.split_once(':').unwrap_or((name, ""));
        let first = names[0]
            .split_once(':')
            .map_or(names[0], |(first, _)| first);
        if backend != first && !name.starts_with(REMOTE) {
            return error("devices of one backend");
        }
        if names[..i].contains(name) {
            return error("each device once");
        }
        if !name.contains(':') && *name != "flex" {
            return error("each device with its index, such as cuda:0,cuda:1");
        }
    }
    let device = |name: &str| match name.starts_with(REMOTE) {
        true => remote(name),
        false => parse_device(name),
    };
    names.into_iter().map(device).collect()
}

/// How the names of devices of other machines begin.
const REMOTE: &str = "remote:";

#[cfg(feature = "remote")]
use crate::remote::connect as remote;

#[cfg(not(feature = "remote"))]
fn remote(name: &str) -> Result<Device> {
    let expected = "a device of this machine, or a build with the feature remote";
    Err(Error::invalid("device", name, expected))
}
