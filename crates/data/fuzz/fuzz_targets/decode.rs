//! Decodes any bytes. The result is an image within the limits or an error, never a panic or an
//! out-of-bounds access (run it with a sanitizer).
//!
//!     RUSTC_BOOTSTRAP=1 cargo fuzz run decode corpus/decode ../../../tests/reference/decode
#![no_main]

use std::cell::RefCell;

use e2mc_data::decode::{DecodeLimits, decode};
use e2mc_data::Photo;
use libfuzzer_sys::fuzz_target;

/// Small, so that a run tries many files rather than large ones.
const LIMITS: DecodeLimits = DecodeLimits {
    max_pixels: 1 << 18,
    max_file_bytes: 1 << 20,
};

thread_local! {
    /// As in a loader, one photo is refilled for every file.
    static PHOTO: RefCell<Photo> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    PHOTO.with_borrow_mut(|photo| {
        if decode(bytes, &LIMITS, photo).is_ok() {
            let [height, width, channels] = photo.shape();
            assert!(height > 0 && width > 0 && channels == 3);
            assert!((height * width) as u64 <= LIMITS.max_pixels);
            assert_eq!(photo.pixels().len(), height * width * 3);
        }
    });
});
