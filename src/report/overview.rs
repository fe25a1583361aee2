//! The main job's table, for the terminal only: a row per backend and thread count, a column per workload and phase.

use comfy_table::{CellAlignment, Table, presets};

use super::table::{percent, three_digits, time};
use crate::compare::Results;
use crate::compare::ranking::{Place, Ranking};
use crate::measure::record::CellRecord;

/// The places of the ranking with the times behind it.
pub fn overview(results: &Results, ranking: &Ranking) -> String {
    let name = |record: &CellRecord| format!("{}\n{}", record.cell.workload.name, record.cell.phase.name());
    let mut columns: Vec<String> = Vec::new();
    for record in results.cells() {
        if !columns.contains(&name(record)) {
            columns.push(name(record));
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let fixed = ["", "backend", "threads", "time to\nfirst's"].map(str::to_owned);
    table.set_header(fixed.into_iter().chain(columns.iter().cloned()));
    for (index, place) in ranking.places.iter().enumerate() {
        let Place { contender, to_first: (ratio, (low, high)), .. } = place;
        let ratio = if index == 0 { "1.00".into() } else { format!("{ratio:.2}\n{low:.2}-{high:.2}") };
        let mut row = vec![(index + 1).to_string(), contender.backend.clone(), contender.threads.to_string(), ratio];
        row.extend(columns.iter().map(|column| {
            let is_here = |record: &&CellRecord| {
                record.cell.backend == contender.backend
                    && record.cell.threads == contender.threads
                    && name(record) == *column
            };
            let summary = results.cells().iter().find(is_here).and_then(|record| results.summary(record));
            summary.map_or("failed".into(), |summary| {
                let spread = 100.0 * summary.deviation_ns / summary.time_ns;
                let share = summary.roofline_share.map_or(String::new(), |share| format!(", {}", percent(share)));
                format!("{} ±{spread:.0}%\n{} GFLOP/s{share}", time(summary.time_ns), three_digits(summary.gflops))
            })
        }));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
