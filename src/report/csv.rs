//! Tables for spreadsheets: RFC 4180, with the columns' keys as the header and numbers in full.

use super::table::Table;

/// The table; nothing is an empty field.
pub(super) fn render(table: &Table) -> String {
    let mut text = table.columns.iter().map(|column| column.key).collect::<Vec<_>>().join(",");
    text.push('\n');
    for row in &table.rows {
        let fields = row.iter().map(|value| match value.exact() {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => quoted(text),
            other => other.to_string(),
        });
        text.push_str(&fields.collect::<Vec<_>>().join(","));
        text.push('\n');
    }
    text
}

fn quoted(text: String) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
