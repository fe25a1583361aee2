//! The engine's own noise in one sentence, below tables of ratios.

use crate::compare::Noise;

/// What the A/A pairs show, and what was made of it.
pub fn noise(noise: Option<Noise>) -> String {
    match noise {
        Some(noise @ Noise { deviation, pairs }) => format!(
            "A/A pairs: {pairs}, which differ by {:.1}% (standard deviation); intervals of ratios allow for a factor of {:.3}.",
            100.0 * deviation.exp_m1(),
            noise.factor()
        ),
        None => "A/A pairs: none in these records, so that intervals do not allow for what two children of one cell differ in.".into(),
    }
}
