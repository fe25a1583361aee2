//! What changed between two record files? Cell by cell, with a verdict that says so where there is none to be had.

use std::fmt;

use super::noise::{Noise, widened};
use super::{Results, per_pass};
use crate::measure::record::{CellRecord, Measured, Outcome};
use crate::measure::statistics::{geometric_mean, median, median_interval};

/// One cell in two files.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The cell's id.
    pub id: String,
    /// Nanoseconds per pass in the first and the second file, where there are.
    pub median_ns: [Option<f64>; 2],
    /// The second time over the first, with an interval of at least 95%; none where they cannot be compared.
    pub ratio: Option<(f64, (f64, f64))>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What can be said of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The second is faster.
    Faster,
    /// The second is slower.
    Slower,
    /// The interval of the ratio contains 1.
    NoDifference,
    /// No ratio would mean anything, for the reason given.
    NotComparable(String),
}

impl Verdict {
    /// The verdict in words, without the reason.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference => "no difference",
            Verdict::NotComparable(_) => "not comparable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::NotComparable(reason) => write!(f, "{}: {reason}", self.name()),
            _ => f.pad(self.name()),
        }
    }
}

/// The cells of both files in the order of `first`, then those that only `second` has. A cell is held against the same cell of the same
/// machine, or of another one where there is none.
pub fn differences(first: &Results, second: &Results) -> Vec<Difference> {
    let noise = noise(first, second);
    let mut alone: Vec<&CellRecord> = second.cells().iter().collect();
    let mut differences = Vec::new();
    for a in first.cells() {
        let candidates = || {
            second.cells().iter().filter(|b| a.cell.to_string() == b.cell.to_string() && a.cold_cache == b.cold_cache)
        };
        let b = candidates().find(|b| a.machine == b.machine).or_else(|| candidates().next());
        alone.retain(|other| b.is_none_or(|b| !std::ptr::eq(*other, b)));
        differences.push(match b {
            Some(b) => difference((first, a), (second, b), noise),
            None => one_sided((first, a), 0, "it is in the first file only"),
        });
    }
    differences.extend(alone.into_iter().map(|b| one_sided((second, b), 1, "it is in the second file only")));
    differences
}

/// What two runs are apart where nothing was changed, as far as the files tell: from echoes, otherwise from twins.
pub fn noise(first: &Results, second: &Results) -> Option<Noise> {
    Noise::between_runs([first, second]).or_else(|| Noise::of([first, second]))
}

fn one_sided((results, record): (&Results, &CellRecord), side: usize, reason: &str) -> Difference {
    let mut median_ns = [None; 2];
    median_ns[side] = time(&results.children(record));
    Difference { id: id(record), median_ns, ratio: None, verdict: Verdict::NotComparable(reason.into()) }
}

fn id(record: &CellRecord) -> String {
    if record.cold_cache { format!("{} (cold)", record.cell) } else { record.cell.to_string() }
}

fn difference(
    (first, a): (&Results, &CellRecord),
    (second, b): (&Results, &CellRecord),
    noise: Option<Noise>,
) -> Difference {
    let (of_a, of_b) = (first.children(a), second.children(b));
    let (ratio, verdict) = match comparable((first, a), (second, b)) {
        Ok(()) => judge(&of_a, &of_b, noise),
        Err(reason) => (None, Verdict::NotComparable(reason)),
    };
    Difference { id: id(a), median_ns: [time(&of_a), time(&of_b)], ratio, verdict }
}

/// Whether a ratio of their times means something, and why not.
fn comparable((first, a): (&Results, &CellRecord), (second, b): (&Results, &CellRecord)) -> Result<(), String> {
    fn measured<'a>(record: &'a CellRecord, which: &str) -> Result<&'a Measured, String> {
        match &record.outcome {
            Outcome::Measured(measured) => Ok(measured),
            Outcome::Failed(failure) => Err(format!("it failed in the {which} file ({})", failure.cause.name())),
        }
    }
    let (measured_a, measured_b) = (measured(a, "first")?, measured(b, "second")?);
    if a.machine != b.machine {
        let facts = |results: &Results, record| {
            results.machine(record).and_then(|machine| serde_json::to_value(&machine.facts).ok())
        };
        let fact = match (facts(first, a), facts(second, b)) {
            (Some(a), Some(b)) => first_difference("", &a, &b),
            _ => None,
        };
        return Err(format!(
            "the machines differ: {}",
            fact.unwrap_or_else(|| "a file does not describe its own".into())
        ));
    }
    let same = [
        ("the workload's definition", a.cell.workload == b.cell.workload, String::new()),
        (
            "the library",
            measured_a.library == measured_b.library,
            format!(": {} and {}", measured_a.library, measured_b.library),
        ),
        ("the data", measured_a.data_sha256 == measured_b.data_sha256, String::new()),
    ];
    match same.into_iter().find(|(_, same, _)| !same) {
        Some((what, _, values)) => Err(format!("{what} differs{values}")),
        None => Ok(()),
    }
}

/// The path of the first fact in which two machines differ, with both values.
fn first_difference(path: &str, a: &serde_json::Value, b: &serde_json::Value) -> Option<String> {
    match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) => {
            let nothing = serde_json::Value::Null;
            a.keys().chain(b.keys()).find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                first_difference(&path, a.get(key).unwrap_or(&nothing), b.get(key).unwrap_or(&nothing))
            })
        }
        _ => (a != b).then(|| format!("{path} is {a} and {b}")),
    }
}

/// The geometric mean of the children's medians; none without children.
fn time(children: &[&Measured]) -> Option<f64> {
    (!children.is_empty()).then(|| geometric_mean(children.iter().map(|child| median(&per_pass(child)))))
}

/// Ends of an interval for that; none for fewer than six samples. That the children's deviations average out is not made use of.
fn interval(children: &[&Measured]) -> Option<(f64, f64)> {
    let ends: Option<Vec<(f64, f64)>> = children.iter().map(|child| median_interval(&per_pass(child))).collect();
    let ends = ends?;
    Some((geometric_mean(ends.iter().map(|end| end.0)), geometric_mean(ends.iter().map(|end| end.1))))
}

type Ratio = Option<(f64, (f64, f64))>;

fn judge(a: &[&Measured], b: &[&Measured], noise: Option<Noise>) -> (Ratio, Verdict) {
    let times = time(a).zip(time(b));
    let Some(((time_a, time_b), (of_a, of_b))) = times.zip(interval(a).zip(interval(b))) else {
        return (None, Verdict::NotComparable("fewer than six samples give no interval".into()));
    };
    let ratio = time_b / time_a;
    // If both medians lie in their intervals, their ratio lies in this one: at least 95% in practice, as both ends must fail together.
    let of_samples = (of_b.0 / of_a.1, of_b.1 / of_a.0);
    // The children of a cell ran at one time: its deviation is in all of them.
    let margin = noise.map_or(0.0, |noise| noise.margin([1, 1]));
    let (low, high) = widened(ratio, of_samples, margin);
    let verdict = match () {
        () if high < 1.0 => Verdict::Faster,
        () if low > 1.0 => Verdict::Slower,
        () => Verdict::NoDifference,
    };
    (Some((ratio, (low, high))), verdict)
}
