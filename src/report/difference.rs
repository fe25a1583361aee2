//! What changed from one record file to another, as a table.

use super::table::{Column, Table, Value};
use crate::compare::difference::Difference;

const COLUMNS: [Column; 8] = [
    Column { key: "cell", title: "cell" },
    Column { key: "first_ns", title: "first" },
    Column { key: "second_ns", title: "second" },
    Column { key: "ratio", title: "second/first" },
    Column { key: "low", title: "95% from" },
    Column { key: "high", title: "to" },
    Column { key: "verdict", title: "verdict" },
    Column { key: "reason", title: "remark" },
];

const EXPENDABLE: &[&[&str]] = &[&["first_ns", "second_ns"], &["low", "high"]];

/// One row per cell; the ratio is the second time over the first.
pub fn difference(differences: &[Difference]) -> Table {
    let row = |difference: &Difference| {
        let Difference { id, time_ns, ratio, verdict, nodes } = difference;
        let reason = match (verdict.reason(), nodes) {
            (Some(reason), _) => reason.to_owned(),
            (None, Some([first, second])) => format!("on nodes {first} and {second}"),
            _ => String::new(),
        };
        vec![
            Value::Text(id.clone()),
            Value::or_none(time_ns[0], Value::Nanoseconds),
            Value::or_none(time_ns[1], Value::Nanoseconds),
            Value::or_none(*ratio, |(ratio, _)| Value::Ratio(ratio)),
            Value::or_none(*ratio, |(_, (low, _))| Value::Ratio(low)),
            Value::or_none(*ratio, |(_, (_, high))| Value::Ratio(high)),
            Value::Text(verdict.name().into()),
            Value::Text(reason),
        ]
    };
    Table { columns: COLUMNS.to_vec(), rows: differences.iter().map(row).collect(), expendable: EXPENDABLE }
}
