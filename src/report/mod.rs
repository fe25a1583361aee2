//! How results are shown: one file per format. Nothing is measured or decided here.

mod ranking;

pub use ranking::ranking;
