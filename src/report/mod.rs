//! How results are shown: one file per format. Nothing is measured or decided here.

mod ranking;
pub mod verification;

pub use ranking::ranking;

/// `1 thread`, `2 threads`.
pub fn threads(count: usize) -> String {
    if count == 1 { "1 thread".into() } else { format!("{count} threads") }
}
