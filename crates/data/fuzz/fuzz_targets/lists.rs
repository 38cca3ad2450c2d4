//! Parses any text as a data set's list: iNaturalist's JSON and Pascal VOC's XML. The result is a
//! list or an error, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((kind, rest)) = bytes.split_first() {
        if kind % 2 == 0 {
            e2mc_data::source::parse_inaturalist(rest);
        } else {
            e2mc_data::source::parse_voc(rest);
        }
    }
});
