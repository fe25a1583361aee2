//! How results are shown: what is in a table (`cells`, `ranking`, `difference`, `overview`), and one file per format. Nothing is measured or decided
//! here.

mod cells;
pub mod costs;
mod csv;
mod difference;
mod doctor;
mod json;
mod markdown;
mod noise;
mod overview;
pub mod plot;
mod ranking;
pub mod table;
mod text;
pub mod verification;

pub use cells::{above_the_limit, cells};
pub use difference::difference;
pub use doctor::{doctor, doctor_in_short};
pub use noise::noise;
pub use overview::overview;
pub use ranking::{ranking, sentence};
pub use table::Table;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, rounded.
    Text,
    /// Comma-separated values, in full.
    Csv,
    /// An array of objects, in full.
    Json,
    /// A Markdown table, rounded.
    Markdown,
}

impl Format {
    /// The table in this format, with its line's end.
    pub fn render(self, table: &Table) -> String {
        match self {
            Format::Text => text::render(&table.for_people()),
            Format::Csv => csv::render(table),
            Format::Json => json::render(table),
            Format::Markdown => markdown::render(&table.for_people()),
        }
    }
}

/// `1 thread`, `2 threads`.
pub fn threads(count: usize) -> String {
    if count == 1 { "1 thread".into() } else { format!("{count} threads") }
}

#[cfg(test)]
mod tests {
    use super::table::{Column, Table, Value};
    use super::*;

    fn table() -> Table {
        let columns = ["name", "time_ns", "share", "tied"].map(|key| Column { key, title: key });
        let row = |name: &str, ns| {
            let name = Value::Text(name.into());
            vec![name, Value::Nanoseconds(ns), Value::None, Value::Flag { is: true, mark: "tied" }]
        };
        Table { columns: columns.to_vec(), rows: vec![row("a|b, \"c\"", 1_234_567.8), row("plain", 0.5)] }
    }

    #[test]
    fn people_get_rounded_numbers_and_programs_all_digits() {
        let csv = Format::Csv.render(&table());
        assert_eq!(csv, "name,time_ns,share,tied\n\"a|b, \"\"c\"\"\",1234567.8,,true\nplain,0.5,,true\n");
        let json: serde_json::Value = serde_json::from_str(&Format::Json.render(&table())).expect("JSON");
        assert_eq!(json[0]["time_ns"], 1_234_567.8);
        assert_eq!((&json[1]["share"], &json[1]["tied"]), (&serde_json::Value::Null, &true.into()));
        let markdown = Format::Markdown.render(&table());
        assert!(markdown.contains("| a\\|b, \"c\" | 1.23 ms | - | tied |"), "{markdown}");
        assert!(markdown.contains("| --- | --: | --: | --- |"), "{markdown}");
        assert!(Format::Text.render(&table()).contains("0.50 ns"));
    }

    #[test]
    fn people_do_not_see_columns_without_anything() {
        let mut table = table();
        for row in &mut table.rows {
            row[3] = Value::Flag { is: false, mark: "tied" };
            row[0] = Value::Unshown("machine".into());
        }
        let markdown = Format::Markdown.render(&table);
        assert!(markdown.starts_with("| time_ns | share |\n"), "{markdown}");
        let csv = Format::Csv.render(&table);
        assert!(csv.starts_with("name,time_ns,share,tied\nmachine,"), "{csv}");
    }
}
