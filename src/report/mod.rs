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
mod screen;
pub mod table;
mod text;
pub mod verification;

pub use cells::{above_the_limit, cells};
pub use difference::difference;
pub use doctor::{doctor, doctor_in_short};
pub use noise::noise;
pub use overview::overview;
pub use ranking::{machine, ranking, sentence};
pub use screen::Screen;
pub use table::Table;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TableFormat {
    /// Aligned columns, rounded; as wide as the terminal.
    Text,
    /// Comma-separated values, in full.
    Csv,
    /// An array of objects, in full.
    Json,
    /// A Markdown table, rounded.
    Markdown,
}

impl TableFormat {
    /// The table in this format, with its line's end. The screen matters to text only.
    pub fn render(self, table: &Table, screen: Screen) -> String {
        match self {
            TableFormat::Text => text::render(&table.for_people(), screen),
            TableFormat::Csv => csv::render(table),
            TableFormat::Json => json::render(table),
            TableFormat::Markdown => markdown::render(&table.for_people()),
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
        let rows = vec![row("a|b, \"c\"", 1_234_567.8), row("plain", 0.5)];
        Table { columns: columns.to_vec(), rows, expendable: &[&["share"], &["time_ns", "tied"]] }
    }

    #[test]
    fn people_get_rounded_numbers_and_programs_all_digits() {
        let csv = TableFormat::Csv.render(&table(), Screen::PLAIN);
        assert_eq!(csv, "name,time_ns,share,tied\n\"a|b, \"\"c\"\"\",1234567.8,,true\nplain,0.5,,true\n");
        let json: serde_json::Value =
            serde_json::from_str(&TableFormat::Json.render(&table(), Screen::PLAIN)).expect("JSON");
        assert_eq!(json[0]["time_ns"], 1_234_567.8);
        assert_eq!((&json[1]["share"], &json[1]["tied"]), (&serde_json::Value::Null, &true.into()));
        let markdown = TableFormat::Markdown.render(&table(), Screen::PLAIN);
        assert!(markdown.contains("| a\\|b, \"c\" | 1.23 ms | - | tied |"), "{markdown}");
        assert!(markdown.contains("| --- | --: | --: | --- |"), "{markdown}");
        assert!(TableFormat::Text.render(&table(), Screen::PLAIN).contains("0.50 ns"));
    }

    #[test]
    fn people_do_not_see_columns_without_anything() {
        let mut table = table();
        for row in &mut table.rows {
            row[3] = Value::Flag { is: false, mark: "tied" };
            row[0] = Value::Unshown("machine".into());
        }
        let markdown = TableFormat::Markdown.render(&table, Screen::PLAIN);
        assert!(markdown.starts_with("| time_ns | share |\n"), "{markdown}");
        let csv = TableFormat::Csv.render(&table, Screen::PLAIN);
        assert!(csv.starts_with("name,time_ns,share,tied\nmachine,"), "{csv}");
    }
    #[test]
    fn a_narrow_screen_goes_without_the_least_columns_and_says_so() {
        let longest = |text: &str| {
            let lines = text.lines().filter(|line| !line.contains("too narrow"));
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        };
        let on = |width, unicode| TableFormat::Text.render(&table(), Screen { width: Some(width), unicode });
        let whole = TableFormat::Text.render(&table(), Screen::PLAIN);
        assert!(whole.is_ascii() && !whole.contains("too narrow"), "{whole}");
        assert_eq!(on(longest(&whole), false), whole);
        let narrow = on(longest(&whole) - 1, true);
        assert!(
            narrow.contains("too narrow for: share;") && narrow.contains("time_ns") && !narrow.is_ascii(),
            "{narrow}"
        );
        for width in 10..longest(&whole) {
            assert!(longest(&on(width, false)) <= width, "{}", on(width, false));
        }
        assert!(on(10, false).contains("too narrow for: share, time_ns, tied;"));
    }

    #[test]
    fn names_do_no_harm_to_a_screen() {
        let mut table = table();
        table.rows[0][0] = Value::Text("a\x1b[2J\r\u{202e}b".into());
        for format in [TableFormat::Text, TableFormat::Markdown] {
            let text = format.render(&table, Screen::PLAIN);
            assert!(text.contains("a\\u{1b}[2J\\r\\u{202e}b"), "{text}");
        }
        assert!(
            TableFormat::Json.render(&table, Screen::PLAIN).contains("a\\u001b[2J\\r\u{202e}b"),
            "programs get it as it is"
        );
    }
}
