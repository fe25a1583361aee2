//! Model and checkpoint files: any bytes are a whole one, which is written back as the same, or an error. Built with `--cfg fuzzing`,
//! which makes the reader pass over the checksum: no input would ever get beyond it.
#![no_main]

use std::path::Path;

use layerbench::store::{Checkpoint, Container, Model};
use layerbench::{Error, Scalar};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Container::from_bytes(Path::new("fuzzed"), bytes) {
        Ok(container) => {
            read_as::<f32>(&container);
            read_as::<f64>(&container);
        }
        Err(error) => assert!(matches!(error, Error::Model { .. }), "{error}"),
    }
});

fn read_as<T: Scalar>(container: &Container) {
    let again = |bytes: Vec<u8>| Container::from_bytes(Path::new("written"), &bytes).expect("what we write is whole");
    match Model::<T>::from_container(container) {
        Ok(model) => assert_eq!(Model::from_container(&again(model.to_bytes())).expect("a model"), model),
        Err(error) => assert!(matches!(error, Error::Model { .. }), "{error}"),
    }
    match Checkpoint::<T>::from_container(container) {
        Ok(checkpoint) => {
            let written = Checkpoint::<T>::from_container(&again(checkpoint.to_bytes())).expect("a checkpoint");
            // Costs may be NaN: compared as they are written.
            assert_eq!(written.to_bytes(), checkpoint.to_bytes());
        }
        Err(error) => assert!(matches!(error, Error::Model { .. }), "{error}"),
    }
}
