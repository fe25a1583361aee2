//! Tables for the terminal.

use comfy_table::{CellAlignment, Table as Grid, presets};

use super::table::{Table, Value};

/// The table with aligned columns.
pub(super) fn render(table: &Table) -> String {
    let mut grid = Grid::new();
    grid.load_style(presets::UTF8_HORIZONTAL_ONLY);
    grid.set_header(table.columns.iter().map(|column| column.title));
    for row in &table.rows {
        grid.add_row(row.iter().map(Value::shown));
    }
    for (index, column) in grid.column_iter_mut().enumerate() {
        if table.rows.first().is_some_and(|row| row[index].is_number()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{grid}\n")
}
