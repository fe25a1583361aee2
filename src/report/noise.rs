//! The engine's own noise in one sentence, below tables of ratios.

use crate::compare::Noise;

/// What the A/A pairs show, and what was made of it.
pub fn noise(noise: Option<Noise>) -> String {
    match noise {
        Some(noise @ Noise { deviation, pairs }) => format!(
            "A/A pairs: {pairs}, which differ by {:.1}% (standard deviation); so two children would have to differ by {:.1}% to be told apart.",
            100.0 * deviation.exp_m1(),
            100.0 * noise.margin([1, 1]).exp_m1()
        ),
        None => "A/A pairs: none in these records, so that intervals do not allow for what two children of one cell differ in.".into(),
    }
}
