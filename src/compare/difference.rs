//! What changed between two record files? Cell by cell, with a verdict that says so where there is none to be had.

use std::fmt;

use super::noise::{Kind, Noise, widened};
use super::{Results, interval, same, time};
use crate::measure::record::{CellRecord, Measured, Outcome};

/// One cell in two files.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The cell's id.
    pub id: String,
    /// Nanoseconds per pass in the first and the second file, where there are.
    pub time_ns: [Option<f64>; 2],
    /// The second time over the first, with an interval of at least 95%; none where they cannot be compared.
    pub ratio: Option<(f64, (f64, f64))>,
    /// The verdict.
    pub verdict: Verdict,
    /// The nodes where they are two of one class: what these differ in is in the ratio, and not in its interval.
    pub nodes: Option<[String; 2]>,
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
    /// One of the times is not to be trusted, for the reason given.
    Mistrusted(String),
}

impl Verdict {
    /// Why there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::NotComparable(reason) | Verdict::Mistrusted(reason) => Some(reason),
            Verdict::Faster | Verdict::Slower | Verdict::NoDifference => None,
        }
    }

    /// The verdict in words, without the reason.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference => "no difference",
            Verdict::NotComparable(_) => "not comparable",
            Verdict::Mistrusted(_) => "MISTRUSTED",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{}: {reason}", self.name()),
            None => f.pad(self.name()),
        }
    }
}

/// The cells of both files in the order of `first`, then those that only `second` has. A cell is held against the very same; where there
/// is none, against one with its id: on the same node before another of its class, and there before another machine.
pub fn differences(first: &Results, second: &Results) -> Vec<Difference> {
    let noise = noise(first, second);
    let alike =
        |a: &CellRecord, b: &CellRecord| a.cell.to_string() == b.cell.to_string() && a.cold_cache == b.cold_cache;
    let alike_here = |a: &CellRecord, b: &CellRecord| alike(a, b) && a.host() == b.host();
    let alike_in_class = |a: &CellRecord, b: &CellRecord| alike(a, b) && a.machine == b.machine;
    let passes: [Fit<'_>; 4] = [&same, &alike_here, &alike_in_class, &alike];
    let mut partners: Vec<Option<&CellRecord>> = vec![None; first.cells().len()];
    let mut alone: Vec<&CellRecord> = second.cells().iter().collect();
    for fits in passes {
        for (a, partner) in first.cells().iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
            if let Some(place) = alone.iter().position(|b| fits(a, b)) {
                *partner = Some(alone.remove(place));
            }
        }
    }
    let of_first = first.cells().iter().zip(partners).map(|(a, b)| match b {
        Some(b) => difference((first, a), (second, b), &noise),
        None => one_sided((first, a), 0, "it is in the first file only"),
    });
    let of_second = alone.into_iter().map(|b| one_sided((second, b), 1, "it is in the second file only"));
    of_first.chain(of_second).collect()
}

/// Whether a cell of the second file may be held against one of the first.
type Fit<'a> = &'a dyn Fn(&CellRecord, &CellRecord) -> bool;

/// What two runs are apart where nothing was changed, as far as their echoes tell.
pub fn noise(first: &Results, second: &Results) -> Noise {
    first.noise(Kind::Echoes).clone().and(second.noise(Kind::Echoes))
}

fn one_sided((results, record): (&Results, &CellRecord), side: usize, reason: &str) -> Difference {
    let mut time_ns = [None; 2];
    time_ns[side] = record.measured().map(|_| time(&results.children(record)));
    Difference { id: id(record), time_ns, ratio: None, verdict: Verdict::NotComparable(reason.into()), nodes: None }
}

fn id(record: &CellRecord) -> String {
    if record.cold_cache { format!("{} (cold)", record.cell) } else { record.cell.to_string() }
}

fn difference((first, a): (&Results, &CellRecord), (second, b): (&Results, &CellRecord), noise: &Noise) -> Difference {
    let times = [first.children(a), second.children(b)];
    let mistrusted = [("first", first.mistrusted(a)), ("second", second.mistrusted(b))]
        .into_iter()
        .find_map(|(which, reason)| Some(format!("in the {which} file {}", reason?)));
    let (ratio, verdict) = match (mistrusted, comparable((first, a), (second, b))) {
        (Some(reason), _) => (None, Verdict::Mistrusted(reason)),
        // The children of a cell ran at one time: its deviation is in all of them.
        (None, Ok(())) => judge(&times, noise.margin([(a, 1), (b, 1)])),
        (None, Err(reason)) => (None, Verdict::NotComparable(reason)),
    };
    let time_ns = times.map(|children| (!children.is_empty()).then(|| time(&children)));
    let nodes = (a.machine == b.machine && a.node != b.node).then(|| [a.node.clone(), b.node.clone()]);
    Difference { id: id(a), time_ns, ratio, verdict, nodes }
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
            results.machine(record).and_then(|machine| serde_json::to_value(machine.facts.class()).ok())
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
            measured_a.library.is_same(&measured_b.library),
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

type Ratio = Option<(f64, (f64, f64))>;

fn judge([a, b]: &[Vec<&Measured>; 2], margin: f64) -> (Ratio, Verdict) {
    let refuse = |reason: &str| (None, Verdict::NotComparable(reason.into()));
    let (Some(of_a), Some(of_b)) = (interval(a), interval(b)) else {
        return refuse("fewer than six samples give no interval");
    };
    if !margin.is_finite() {
        return refuse("no A/A pair of different times tells what two runs are apart where nothing was changed");
    }
    let ratio = time(b) / time(a);
    // If both medians lie in their intervals, their ratio lies in this one: at least 95% in practice, as both ends must fail together.
    let (low, high) = widened(ratio, (of_b.0 / of_a.1, of_b.1 / of_a.0), margin);
    let verdict = match () {
        () if high < 1.0 => Verdict::Faster,
        () if low > 1.0 => Verdict::Slower,
        () => Verdict::NoDifference,
    };
    (Some((ratio, (low, high))), verdict)
}
