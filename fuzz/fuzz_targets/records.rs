//! Record files: any bytes are records, which can be ranked and compared, or an error that names a line.
#![no_main]

use std::path::Path;

use layerbench::Error;
use layerbench::compare::Results;
use layerbench::compare::difference::differences;
use layerbench::compare::ranking::rank;
use layerbench::measure::journal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match journal::parse(Path::new("fuzzed"), bytes) {
        Ok(records) => {
            let results = Results::new(records);
            let _ = rank(&results);
            assert_eq!(differences(&results, &results).len(), results.cells().len());
            for cell in results.cells() {
                let _ = results.summary(cell);
            }
        }
        Err(error) => assert!(matches!(error, Error::Record { .. }), "{error}"),
    }
});
