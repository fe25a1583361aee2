//! Rankings: as a table, and the fastest in one sentence.

use super::table::{Column, Table, Value};
use crate::compare::ranking::{Contender, Place, Ranking};
use crate::text::visible;

const COLUMNS: [Column; 10] = [
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
];

const EXPENDABLE: &[&[&str]] = &[&["cells"], &["score"], &["to_first_low", "to_first_high"]];

/// All rankings, one below the other; the phase `overall` is over all phases.
pub fn ranking(rankings: &[Ranking]) -> Table {
    let mut rows = Vec::new();
    for ranking in rankings {
        for (index, place) in ranking.places.iter().enumerate() {
            let (to_first, (low, high)) = place.to_first;
            rows.push(vec![
                Value::Text(ranking.phase.map_or("overall", |phase| phase.name()).into()),
                Value::Count(index as u64 + 1),
                Value::Text(place.contender.backend.clone()),
                Value::Count(place.contender.threads.get() as u64),
                Value::Ratio(place.score),
                Value::Ratio(to_first),
                Value::Ratio(low),
                Value::Ratio(high),
                Value::Flag { is: index > 0 && place.is_tied(), mark: "tied" },
                Value::Count(ranking.shared as u64),
            ]);
        }
    }
    Table { columns: COLUMNS.to_vec(), rows, expendable: EXPENDABLE }
}

/// Who is fastest, and by how much; or that it is too close to call.
pub fn sentence(ranking: &Ranking) -> String {
    let name = |contender: &Contender| {
        format!("{} on {}", visible(&contender.backend), super::threads(contender.threads.get()))
    };
    let Some((first, others)) = ranking.places.split_first() else {
        return "Nothing could be measured.".into();
    };
    let of_first = format!("{} ({})", name(&first.contender), visible(&first.contender.library));
    let Some(second) = others.first() else {
        return format!("Nothing to rank: there is only {of_first}.");
    };
    let Place { to_first: (gain, (low, high)), .. } = second;
    let tied: Vec<String> = others.iter().filter(|place| place.is_tied()).map(|place| name(&place.contender)).collect();
    match tied.as_slice() {
        [] => format!(
            "Fastest on this machine: {of_first}, {gain:.2} times as fast as {} (95% interval {low:.2} to {high:.2}).",
            name(&second.contender)
        ),
        [tied] => format!(
            "On this machine {of_first} and {tied} are too close to call: the ratio of their times is {gain:.2}, and 1 lies within \
             its 95% interval."
        ),
        tied => format!(
            "On this machine {of_first} is too close to call with {}: 1 lies within the 95% intervals of the ratios of their times.",
            tied.join(", ")
        ),
    }
}
