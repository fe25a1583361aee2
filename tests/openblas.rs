//! Who answers when `openblas` is called: the library by that name, on the threads asked for.

#![cfg(feature = "cli")]
#![cfg(feature = "openblas")]

mod common;

use layerbench::backend::openblas::{config, corename, path};
use layerbench::{Error, Registry};

#[test]
fn the_products_come_from_openblas() {
    let library = path().expect("a library owns cblas_dgemm").display().to_string();
    assert!(library.to_lowercase().contains("blas"), "cblas_dgemm is in {library}");
    // Debian's alternatives may call the file libblas.so.3: the library's own word decides.
    assert!(config().starts_with("OpenBLAS "), "{library} calls itself {}", config());
    assert!(!config().contains("USE_OPENMP"), "the pthread build is wanted: {}", config());
    assert!(!corename().is_empty() && corename() != "unknown");
}

#[test]
fn engines_share_one_thread_count_and_a_conflict_is_an_error() {
    let _turn = common::alone();
    let registry = Registry::builtin();
    let two = registry.open::<f64>("openblas", 2).expect("free");
    assert_eq!(two.threads(), 2);
    let also_two = registry.open::<f32>("openblas", 2).expect("the same count is shared");
    assert!(matches!(registry.open::<f64>("openblas", 1), Err(Error::Threads { asked: 1, .. })));
    drop(two);
    let error = registry.open::<f64>("openblas", 3).map(drop).expect_err("still held at 2");
    assert!(error.to_string().contains("holds it at 2"), "{error}");
    drop(also_two);
    assert_eq!(registry.open::<f64>("openblas", 1).expect("free again").threads(), 1);
}

#[test]
fn a_layer_keeps_the_count_when_its_engine_is_gone() {
    let _turn = common::alone();
    let registry = Registry::builtin();
    let engine = registry.open::<f64>("openblas", 2).expect("free");
    let spec = layerbench::layer::LayerSpec {
        inputs: 1,
        outputs: 1,
        batch: 1,
        activation: layerbench::layer::Activation::Relu,
    };
    let layer = engine.plan(spec).expect("an ordinary shape");
    drop(engine);
    assert!(matches!(registry.open::<f64>("openblas", 1), Err(Error::Threads { .. })));
    drop(layer);
    assert!(registry.open::<f64>("openblas", 1).is_ok());
}

#[test]
fn more_threads_than_the_build_can_have_are_refused() {
    let _turn = common::alone();
    let error = Registry::builtin().open::<f64>("openblas", 100_000).map(drop).expect_err("no build has so many");
    assert!(matches!(error, Error::Threads { asked: 100_000, .. }), "{error}");
}
