//! See `targets::bundle`.
#![no_main]

#[expect(dead_code, reason = "the other targets use the rest")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _taken = targets::bundle(data);
});
