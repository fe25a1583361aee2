//! The engine's own noise in one sentence, below tables of ratios.

use crate::compare::{Kind, Noise};

/// What the A/A pairs show.
pub fn noise(noise: &Noise) -> String {
    let (what, lacking) = match noise.kind() {
        Kind::Twins => ("in the same rounds", "so that nothing can be told apart"),
        Kind::Echoes => ("at different times", "so that no two runs can be compared"),
    };
    if noise.pairs() == 0 {
        return format!("Noise: no cell was measured twice {what}, {lacking}.");
    }
    let of = |deviation: Option<f64>, threads: &str| {
        deviation.map(|deviation| format!("by {:.1}% on {threads}", 100.0 * deviation.exp_m1()))
    };
    let [one, several] = noise.deviations();
    let deviations: Vec<String> = [of(one, "one thread"), of(several, "several")].into_iter().flatten().collect();
    format!(
        "Noise: {} times a cell was measured twice {what}; the two times differ {} (standard deviation). Intervals of ratios allow for it.",
        noise.pairs(),
        deviations.join(" and ")
    )
}
