//! Measured cells, one a row: times, rates, and how far they are from what the machine could do.

use super::table::{Column, Table, Value};
use crate::compare::{Results, Summary};
use crate::measure::record::{CellRecord, Outcome};

const COLUMNS: [Column; 16] = [
    Column { key: "cell", title: "cell" },
    Column { key: "cold_cache", title: "caches" },
    Column { key: "time_ns", title: "time" },
    Column { key: "deviation_ns", title: "deviation" },
    Column { key: "low_ns", title: "95% from" },
    Column { key: "high_ns", title: "to" },
    Column { key: "gflops", title: "GFLOP/s" },
    Column { key: "roofline_share", title: "of roofline" },
    Column { key: "busy_threads", title: "busy threads" },
    Column { key: "first_ns", title: "first call" },
    Column { key: "plan_ns", title: "plan" },
    Column { key: "start_up_ns", title: "start-up" },
    Column { key: "peak_memory_bytes", title: "memory MB" },
    Column { key: "machine", title: "machine" },
    Column { key: "node", title: "node" },
    Column { key: "error", title: "error" },
];

const EXPENDABLE: &[&[&str]] = &[
    &["start_up_ns"],
    &["plan_ns"],
    &["first_ns"],
    &["deviation_ns"],
    &["peak_memory_bytes"],
    &["busy_threads"],
    &["low_ns", "high_ns"],
    &["gflops"],
];

/// All cells of `results`, failed ones too. Of one machine people need not be told which.
pub fn cells(results: &Results) -> Table {
    let several = |of: fn(&CellRecord) -> &str| results.cells().windows(2).any(|pair| of(&pair[0]) != of(&pair[1]));
    let name = |of: fn(&CellRecord) -> &str| {
        let kind = if several(of) { Value::Text } else { Value::Unshown };
        move |record: &CellRecord| kind(of(record).to_owned())
    };
    let machine = name(|record| &record.machine);
    let node = name(|record| &record.node);
    let rows = results.cells().iter().map(|record| {
        let summary = results.summary(record);
        let of = |value: &dyn Fn(&Summary) -> Value| summary.as_ref().map_or(Value::None, value);
        let measured = record.measured();
        let mistrusted = || summary.as_ref().and_then(Summary::mistrusted);
        let error = match &record.outcome {
            Outcome::Measured(_) => mistrusted().map_or(String::new(), |reason| format!("MISTRUSTED: {reason}")),
            Outcome::Failed(failure) => format!("{}: {}", failure.cause.name(), failure.message),
        };
        vec![
            Value::Text(record.cell.to_string()),
            Value::Flag { is: record.cold_cache, mark: "cold" },
            of(&|summary| Value::Nanoseconds(summary.time_ns)),
            of(&|summary| Value::Nanoseconds(summary.deviation_ns)),
            of(&|summary| Value::or_none(summary.interval_ns, |(low, _)| Value::Nanoseconds(low))),
            of(&|summary| Value::or_none(summary.interval_ns, |(_, high)| Value::Nanoseconds(high))),
            of(&|summary| Value::Number(summary.gflops)),
            of(&|summary| Value::or_none(summary.roofline_share, Value::Share)),
            of(&|summary| Value::Number(summary.busy_threads)),
            Value::or_none(measured, |measured| Value::Nanoseconds(measured.first_ns as f64)),
            Value::or_none(measured, |measured| Value::Nanoseconds(measured.plan_ns as f64)),
            Value::or_none(measured, |measured| Value::Nanoseconds((measured.start_ns + measured.open_ns) as f64)),
            Value::or_none(measured.and_then(|measured| measured.peak_memory_bytes), Value::Bytes),
            machine(record),
            node(record),
            Value::Text(error),
        ]
    });
    Table { columns: COLUMNS.to_vec(), rows: rows.collect(), expendable: EXPENDABLE }
}

/// What a share above 100% means, as a sentence with its line's end; nothing where no cell has one.
pub fn above_the_limit(results: &Results) -> &'static str {
    let is_above =
        |record| results.summary(record).and_then(|summary| summary.roofline_share).is_some_and(|share| share > 1.0);
    if !results.cells().iter().any(is_above) {
        return "";
    }
    "\n`!`: faster than the limit. The limit was read too low (other load on the machine, huge pages that the reading did not get), or the \
     backend moves fewer bytes than each matrix once per layer, which is what is counted.\n"
}
