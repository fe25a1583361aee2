//! The fixture parser: any text is cases or an error that names where it is wrong.
#![no_main]

use layerbench::Error;
use layerbench::verify::fixture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match fixture::parse("fuzzed", text) {
        Ok(cases) => assert!(!cases.is_empty(), "nothing would be checked"),
        Err(error) => assert!(matches!(error, Error::Fixture { .. } | Error::Syntax { .. }), "{error}"),
    }
});
