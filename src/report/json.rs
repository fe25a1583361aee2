//! Tables for programs: a JSON array with an object per row, numbers in full.

use super::table::Table;

/// The table.
pub(super) fn render(table: &Table) -> String {
    let object = |row: &Vec<_>| -> serde_json::Value {
        let values = row.iter().map(super::table::Value::exact);
        table.columns.iter().map(|column| column.key.to_owned()).zip(values).collect::<serde_json::Map<_, _>>().into()
    };
    let rows: Vec<serde_json::Value> = table.rows.iter().map(object).collect();
    let mut text = serde_json::to_string_pretty(&rows).expect("values are plain data");
    text.push('\n');
    text
}
