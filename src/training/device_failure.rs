//! Failures of a device in a step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ssl_methods::MethodError;

/// Does the work of a step. Burn panics if a device is lost or its memory is exhausted, at the
/// latest when a result is read; this makes it an error of the first of `devices` devices, which
/// does what is not shared.
///
/// # Errors
/// [`MethodError::Device`] if the work panics, and the errors of `work`.
pub(super) fn on_devices<T>(
    devices: usize,
    work: impl FnOnce() -> Result<T, MethodError>,
) -> Result<T, MethodError> {
    // After a panic, the caller restores what the work could have changed.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(MethodError::of_panic(1, devices, &*panic)))
}

/// What a device said if its memory was exhausted.
pub(super) fn out_of_memory(error: &MethodError) -> Option<&str> {
    let MethodError::Device { problem, .. } = error else {
        return None;
    };
    let lower = problem.to_lowercase();
    // The words of CubeCL, CUDA, HIP and Vulkan.
    let known = [
        "out of memory",
        "out of device memory",
        "out-of-memory",
        "out_of_memory",
        "outofmemory",
        "out_of_device_memory",
        "not enough memory",
    ];
    known
        .iter()
        .any(|words| lower.contains(words))
        .then_some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_drivers_words_for_exhausted_memory() {
        let said = |problem: &str| {
            let result = on_devices::<()>(2, || panic!("{problem}"));
            let error = result.unwrap_err();
            assert!(error.to_string().contains("device 1 of 2 failed"));
            out_of_memory(&error).map(String::from)
        };
        for problem in [
            "out of device memory allocating 4096 bytes",
            "An out-of-memory error happened during launch",
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "wgpu error: Out of Memory",
            "ERROR_OUT_OF_DEVICE_MEMORY",
            "hipErrorOutOfMemory",
        ] {
            assert_eq!(said(problem).as_deref(), Some(problem));
        }
        assert_eq!(said("The device is poisoned: an illegal address"), None);
    }
}
