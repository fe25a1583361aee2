//! Tables for the terminal.

use comfy_table::{CellAlignment, Table as Grid};

use super::Screen;
use super::table::{Table, Value};

/// The table with aligned columns. Where the screen is too narrow, it goes without those that matter least, and says without which; then
/// lines are broken.
pub(super) fn render(table: &Table, screen: Screen) -> String {
    let mut shown = table.clone();
    let mut left_out = Vec::new();
    let mut grid = grid(&shown, screen);
    for keys in table.expendable {
        if screen.fits(&grid) {
            break;
        }
        while let Some(index) = shown.columns.iter().position(|column| keys.contains(&column.key)) {
            left_out.push(shown.columns.remove(index).title);
            shown.rows.iter_mut().for_each(|row| drop(row.remove(index)));
        }
        grid = self::grid(&shown, screen);
    }
    screen.wrap(&mut grid);
    let mut text = format!("{grid}\n");
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        text += &format!("too narrow for: {names}; a wider terminal or a pipe (`| less -S`) shows all\n");
    }
    text
}

fn grid(table: &Table, screen: Screen) -> Grid {
    let mut grid = screen.grid();
    grid.set_header(table.columns.iter().map(|column| column.title));
    for row in &table.rows {
        grid.add_row(row.iter().map(Value::shown));
    }
    for (index, column) in grid.column_iter_mut().enumerate() {
        if table.rows.first().is_some_and(|row| row[index].is_number()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid
}
