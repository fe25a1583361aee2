//! The main job's answer as text: one ranked table and one sentence.

use comfy_table::{CellAlignment, Table, presets};

use crate::measure::statistics::{geometric_mean, median, median_interval, relative_spread};
use crate::measure::{Contender, Plan};

/// The table, and the sentence that names the fastest. Ranked by the geometric mean over all cells of the ratio to the first.
///
/// Empty text for no contenders.
pub fn ranking(plan: &Plan, contenders: &[Contender]) -> String {
    let mut ranked: Vec<&Contender> = contenders.iter().collect();
    let overall = |contender: &Contender| geometric_mean(contender.samples.iter().map(|samples| median(samples)));
    ranked.sort_by(|a, b| overall(a).total_cmp(&overall(b)));
    let Some((first, others)) = ranked.split_first() else { return String::new() };

    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let mut header = vec!["".to_owned(), "backend".into(), "threads".into(), "time to\nfirst's".into()];
    header.extend(plan.cells().map(|(workload, phase)| format!("{}\n{}", workload.name, phase.name())));
    table.set_header(header);
    for (position, contender) in ranked.iter().enumerate() {
        let ratio = match position {
            0 => "1.00".into(),
            _ => {
                let ratios = ratios(contender, first);
                let interval =
                    median_interval(&ratios).map_or(String::new(), |(low, high)| format!("\n{low:.2}-{high:.2}"));
                format!("{:.2}{interval}", median(&ratios))
            }
        };
        let mut row = vec![(position + 1).to_string(), contender.name.clone(), contender.threads.to_string(), ratio];
        row.extend(plan.cells().zip(&contender.samples).map(|((workload, phase), samples)| {
            let seconds = median(samples);
            let rate = workload.flops(phase) / seconds / 1e9;
            format!("{} ±{:.0}%\n{} GFLOP/s", time(seconds), 100.0 * relative_spread(samples), three_digits(rate))
        }));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n\n{}\n", sentence(first, others))
}

/// `contender`'s time over `base`'s in each round: the geometric mean over all cells.
fn ratios(contender: &Contender, base: &Contender) -> Vec<f64> {
    let rounds = contender.samples.first().map_or(0, Vec::len);
    let ratio = |round: usize| {
        geometric_mean(contender.samples.iter().zip(&base.samples).map(|(theirs, first)| theirs[round] / first[round]))
    };
    (0..rounds).map(ratio).collect()
}

fn sentence(first: &Contender, others: &[&Contender]) -> String {
    let name = |contender: &Contender| format!("{} on {}", contender.name, super::threads(contender.threads.get()));
    let of_first = format!("{} ({})", name(first), first.description);
    let Some(second) = others.first() else {
        return format!("On this machine only {of_first} could be measured.");
    };
    let ratios = ratios(second, first);
    let gain = median(&ratios);
    match median_interval(&ratios) {
        Some((low, _)) if low <= 1.0 => format!(
            "On this machine {of_first} and {} are too close to call: the ratio of their times is {gain:.2}, and 1 lies within its 95% interval.",
            name(second)
        ),
        Some((low, high)) => format!(
            "Fastest on this machine: {of_first}, {gain:.2} times as fast as {} (95% interval {low:.2} to {high:.2}).",
            name(second)
        ),
        None => format!(
            "Fastest on this machine: {of_first}, {gain:.2} times as fast as {} (too few rounds for an interval).",
            name(second)
        ),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{} s", three_digits(s)),
        s if s >= 1e-3 => format!("{} ms", three_digits(1e3 * s)),
        s => format!("{} us", three_digits(1e6 * s)),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    fn contender(name: &str, times: [f64; 9]) -> Contender {
        let cells = Plan::reference().cells().count();
        Contender {
            name: name.into(),
            threads: NonZeroUsize::MIN,
            description: "made up".into(),
            samples: vec![times.to_vec(); cells],
        }
    }

    #[test]
    fn the_faster_is_first_and_named() {
        let slow = contender("slow", [2e-3; 9]);
        let text = ranking(&Plan::reference(), &[slow, contender("quick", [1e-3; 9])]);
        assert!(
            text.contains("Fastest on this machine: quick on 1 thread (made up), 2.00 times as fast as slow"),
            "{text}"
        );
        let (quick, slow) = (text.find(" quick ").expect("in the table"), text.find(" slow ").expect("in the table"));
        assert!(quick < slow, "{text}");
        // 2 * 209 * (12288 * 7 + 7) operations in 1 ms.
        assert!(text.contains("36.0 GFLOP/s"), "{text}");
    }

    #[test]
    fn a_difference_within_the_noise_is_no_victory() {
        let noisy = contender("noisy", [1.1e-3, 0.9e-3, 1.1e-3, 0.9e-3, 1.1e-3, 0.9e-3, 1.1e-3, 0.9e-3, 1.05e-3]);
        let text = ranking(&Plan::reference(), &[noisy, contender("steady", [1e-3; 9])]);
        assert!(text.contains("too close to call"), "{text}");
    }

    #[test]
    fn nothing_and_one_are_no_competition() {
        assert_eq!(ranking(&Plan::reference(), &[]), "");
        let text = ranking(&Plan::reference(), &[contender("alone", [1e-3; 9])]);
        assert!(text.contains("only alone on 1 thread"), "{text}");
    }
}
