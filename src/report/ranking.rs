//! Rankings: as a table, and the fastest in one sentence.

use super::table::{Column, Table, Value};
use crate::compare::Results;
use crate::compare::ranking::{Contender, Place, Ranking};
use crate::machine::Facts;
use crate::measure::record::{CellRecord, Machine};
use crate::text::visible;

const COLUMNS: [Column; 11] = [
    Column { key: "phase", title: "phase" },
    Column { key: "place", title: "" },
    Column { key: "backend", title: "backend" },
    Column { key: "threads", title: "threads" },
    Column { key: "score", title: "to best" },
    Column { key: "to_first", title: "to first" },
    Column { key: "to_first_low", title: "95% from" },
    Column { key: "to_first_high", title: "to" },
    Column { key: "tied", title: "" },
    Column { key: "cells", title: "cells" },
    Column { key: "remark", title: "remark" },
];

const EXPENDABLE: &[&[&str]] = &[&["cells"], &["score"], &["to_first_low", "to_first_high"]];

/// All rankings, one below the other; the phase `overall` is over all phases. Then the cells whose times are not to be trusted, which have no
/// place.
pub fn ranking(rankings: &[Ranking], mistrusted: &[(&CellRecord, String)]) -> Table {
    let mut rows = Vec::new();
    for ranking in rankings {
        for (index, place) in ranking.places.iter().enumerate() {
            let (to_first, (low, high)) = place.to_first;
            rows.push(vec![
                Value::Text(ranking.phase.map_or("overall", |phase| phase.name()).into()),
                Value::Count(index as u64 + 1),
                Value::Text(place.contender.name()),
                Value::Count(place.contender.threads.get() as u64),
                Value::Ratio(place.score),
                Value::Ratio(to_first),
                Value::Ratio(low),
                Value::Ratio(high),
                Value::Flag { is: index > 0 && place.is_tied(), mark: "tied" },
                Value::Count(ranking.shared as u64),
                Value::Text(String::new()),
            ]);
        }
    }
    for (record, reason) in mistrusted {
        let cell = &record.cell;
        let mut row = vec![Value::Text(cell.phase.name().into()), Value::None, Value::Text(cell.backend.clone())];
        row.push(Value::Count(cell.threads.get() as u64));
        row.extend([const { Value::None }; 4]);
        row.extend([Value::Flag { is: false, mark: "tied" }, Value::None]);
        row.push(Value::Text(format!("MISTRUSTED: {cell}: {reason}")));
        rows.push(row);
    }
    Table { columns: COLUMNS.to_vec(), rows, expendable: EXPENDABLE }
}

/// Which machine a cell is of: its CPU, its cores, its node.
pub fn machine(results: &Results, record: &CellRecord) -> String {
    let node = &record.node;
    let Some(Machine { facts: Facts { cpu, cores, .. }, .. }) = results.machine(record) else {
        return format!("a machine that its file does not describe, node {}", visible(node));
    };
    let cpu = visible(cpu.as_deref().unwrap_or("unknown CPU"));
    let cores = if cores.usable == 1 { "1 core".into() } else { format!("{} cores", cores.usable) };
    format!("{cpu} with {cores}, node {}", visible(node))
}

/// Who is fastest on the machine of that name, and by how much; or that it is too close to call.
pub fn sentence(ranking: &Ranking, machine: &str) -> String {
    let name =
        |contender: &Contender| format!("{} on {}", visible(contender.name()), super::threads(contender.threads.get()));
    let Some((first, others)) = ranking.places.split_first() else {
        return "Nothing could be measured.".into();
    };
    let of_first = format!("{} ({})", name(&first.contender), visible(&first.contender.library));
    let Some(second) = others.first() else {
        return format!("Nothing to rank: there is only {of_first}.");
    };
    let ratio = |place: &Place| {
        let (ratio, (low, high)) = place.to_first;
        (format!("{ratio:.2}"), format!("95% interval {low:.2} to {high:.2}"))
    };
    let tied: Vec<&Place> = others.iter().filter(|place| place.is_tied()).collect();
    match tied.as_slice() {
        [] => {
            let (gain, interval) = ratio(second);
            let of_second = name(&second.contender);
            format!("Fastest on {machine}: {of_first}, {gain} times as fast as {of_second} ({interval}).")
        }
        [tied] => {
            let (ratio, interval) = ratio(tied);
            let of_tied = name(&tied.contender);
            format!(
                "Too close to call on {machine}: {of_first} and {of_tied}. The ratio of their times is {ratio}, and 1 lies within its {interval}."
            )
        }
        tied => {
            let tied: Vec<String> = tied.iter().map(|place| name(&place.contender)).collect();
            format!(
                "Too close to call on {machine}: {of_first}, and {}. 1 lies within the 95% intervals of the ratios of their times.",
                tied.join(", ")
            )
        }
    }
}
