//! Tables for documents: GitHub's Markdown.

use super::table::{Table, Value};

/// The table with pipes; a pipe in a value is escaped.
pub(super) fn render(table: &Table) -> String {
    let line = |values: Vec<String>| format!("| {} |\n", values.join(" | "));
    let mut text = line(table.columns.iter().map(|column| column.title.to_owned()).collect());
    let alignments = (0..table.columns.len()).map(|index| {
        let right = table.rows.first().is_some_and(|row| row[index].is_number());
        (if right { "--:" } else { "---" }).to_owned()
    });
    text.push_str(&line(alignments.collect()));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|value| Value::shown(value).replace('|', "\\|")).collect()));
    }
    text
}
