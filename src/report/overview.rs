//! The main job's table, for the terminal only: a row per backend and thread count, a column per workload and phase.

use comfy_table::{CellAlignment, Table as Grid};

use super::Screen;
use super::table::{percent, three_digits, time};
use crate::compare::Results;
use crate::compare::ranking::{Place, Ranking};
use crate::measure::record::CellRecord;
use crate::text::visible;

/// The places of the ranking with the times behind it. Where the screen is too narrow, each workload has a table of its own; then rates are
/// left out, which is said; then lines are broken.
pub fn overview(results: &Results, ranking: &Ranking, screen: Screen) -> String {
    let mut columns: Vec<Column> = Vec::new();
    for record in results.cells() {
        let column = Column::of(record);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let together = [&columns[..]];
    let apart: Vec<&[Column]> = columns.chunk_by(|a, b| a.workload == b.workload).collect();
    let layouts = [(&together[..], Detail::Rates), (&apart, Detail::Rates), (&apart, Detail::Times)];
    let grids = |(tables, detail): (&[&[Column]], Detail)| -> Vec<Grid> {
        tables.iter().map(|columns| grid(results, ranking, columns, detail, screen)).collect()
    };
    let fitting = layouts
        .iter()
        .map(|&layout| (grids(layout), layout.1))
        .find(|(grids, _)| grids.iter().all(|grid| screen.fits(grid)));
    let (mut grids, detail) = fitting.unwrap_or_else(|| (grids(layouts[2]), Detail::Times));
    grids.iter_mut().for_each(|grid| screen.wrap(grid));
    let mut text = grids.iter().map(|grid| format!("{grid}\n")).collect::<Vec<_>>().join("\n");
    if detail == Detail::Times {
        text += "too narrow for: GFLOP/s; a wider terminal or a pipe (`| less -S`) shows all\n";
    }
    text
}

#[derive(Clone, PartialEq)]
struct Column {
    workload: String,
    phase: &'static str,
}

impl Column {
    fn of(record: &CellRecord) -> Self {
        Column { workload: record.cell.workload.name.clone(), phase: record.cell.phase.name() }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Detail {
    Rates,
    Times,
}

fn grid(results: &Results, ranking: &Ranking, columns: &[Column], detail: Detail, screen: Screen) -> Grid {
    let mut grid = screen.grid();
    let fixed = ["", "backend", "threads", "time to\nfirst's"].map(str::to_owned);
    let titles = columns.iter().map(|column| format!("{}\n{}", visible(&column.workload), column.phase));
    grid.set_header(fixed.into_iter().chain(titles));
    for (index, place) in ranking.places.iter().enumerate() {
        let Place { contender, to_first: (ratio, (low, high)), .. } = place;
        let ratio = if index == 0 { "1.00".into() } else { format!("{ratio:.2}\n{low:.2}-{high:.2}") };
        let mut row = vec![(index + 1).to_string(), visible(contender.name()), contender.threads.to_string(), ratio];
        row.extend(columns.iter().map(|column| {
            let is_here = |record: &&CellRecord| {
                record.cell.backend == contender.backend
                    && record.cell.first_layer == contender.first_layer
                    && record.cell.threads == contender.threads
                    && Column::of(record) == *column
            };
            let record = results.cells().iter().find(is_here);
            record.and_then(|record| results.summary(record)).map_or("failed".into(), |summary| {
                if summary.mistrusted().is_some() {
                    return "MISTRUSTED".into();
                }
                let spread = 100.0 * summary.deviation_ns / summary.time_ns;
                let share = summary.roofline_share.map(percent);
                let rate = (detail == Detail::Rates).then(|| format!("{} GFLOP/s", three_digits(summary.gflops)));
                let below = rate.into_iter().chain(share).collect::<Vec<_>>().join(", ");
                format!("{} {}{spread:.0}%\n{below}", time(summary.time_ns), screen.plus_minus())
            })
        }));
        grid.add_row(row);
    }
    for column in grid.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ranking::rank;
    use crate::measure::journal;
    use crate::scalar::ScalarKind;
    use std::path::Path;

    /// Of the main job's cells: both networks, three phases.
    fn shown(screen: Screen) -> String {
        let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("record/epyc-zen5-2cores.jsonl");
        let mut results = Results::new(journal::read(&record).expect("it is there"));
        results.retain(|record| {
            let cell = &record.cell;
            cell.scalar == ScalarKind::F64
                && ["two-layer", "l-layer"].contains(&&*cell.workload.name)
                && cell.phase.name() != "train"
        });
        overview(&results, &rank(&results)[0], screen)
    }

    #[test]
    fn every_width_is_kept_and_no_cell_is_lost() {
        let longest = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("too narrow"));
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        };
        let whole = shown(Screen::PLAIN);
        assert!(whole.is_ascii(), "{whole}");
        let cells = |text: &str| text.matches("+-").count();
        for width in [60, 80, 100, 120, 140, 160, 200] {
            let text = shown(Screen { width: Some(width), unicode: false });
            assert!(longest(&text) <= width, "{width}: {text}");
            assert_eq!(cells(&text), cells(&whole), "{width}: {text}");
            let has_rates = text.matches(" GFLOP/s").count() > usize::from(text.contains("GFLOP/s;"));
            assert_eq!(text.contains("GFLOP/s;"), !has_rates, "what is left out is said: {text}");
        }
        assert_eq!(shown(Screen { width: Some(longest(&whole)), unicode: false }), whole);
        let drawn = shown(Screen { width: None, unicode: true });
        assert_eq!(drawn.matches('±').count(), cells(&whole));
    }
}
