//! A table of typed values, which every format shows in its own way. What is in it is decided in the sibling files.

use crate::text::visible;

/// Rows of values under titled columns.
#[derive(Clone, Debug)]
pub struct Table {
    /// The columns, left to right.
    pub columns: Vec<Column>,
    /// The rows; each has a value per column.
    pub rows: Vec<Vec<Value>>,
    /// Keys of columns that a narrow screen goes without, the least important ones first; what means nothing alone goes together.
    pub expendable: &'static [&'static [&'static str]],
}

impl Table {
    /// Without the columns in which people would see nothing.
    pub fn for_people(&self) -> Table {
        let shows = |&index: &usize| self.rows.iter().any(|row| !row[index].shown().is_empty());
        let kept: Vec<usize> = (0..self.columns.len()).filter(shows).collect();
        let row = |row: &Vec<Value>| kept.iter().map(|&index| row[index].clone()).collect();
        Table {
            columns: kept.iter().map(|&index| self.columns[index]).collect(),
            rows: self.rows.iter().map(row).collect(),
            expendable: self.expendable,
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name for programs: lower case, with the unit (`median_ns`).
    pub key: &'static str,
    /// Its title for people.
    pub title: &'static str,
}

/// A value; programs get it in full, people rounded.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing is known.
    None,
    /// Text.
    Text(String),
    /// Text for programs; people see nothing.
    Unshown(String),
    /// A whole number.
    Count(u64),
    /// Yes or no; people see `mark` for yes.
    Flag {
        /// The value.
        is: bool,
        /// What people see.
        mark: &'static str,
    },
    /// A duration in nanoseconds; people see it in a fitting unit.
    Nanoseconds(f64),
    /// A ratio; people see three decimals.
    Ratio(f64),
    /// A share of a whole; people see percent, and a mark where it is more than the whole.
    Share(f64),
    /// A size; people see it in MB.
    Bytes(u64),
    /// A rate; people see three digits.
    Number(f64),
}

impl Value {
    /// A value that may be missing.
    pub fn or_none<T>(value: Option<T>, kind: impl FnOnce(T) -> Value) -> Value {
        value.map_or(Value::None, kind)
    }

    /// For people.
    pub fn shown(&self) -> String {
        match self {
            Value::None => "-".into(),
            Value::Text(text) => visible(text),
            Value::Unshown(_) => String::new(),
            Value::Count(count) => count.to_string(),
            Value::Flag { is, mark } => (if *is { mark } else { "" }).to_owned(),
            Value::Nanoseconds(ns) => time(*ns),
            Value::Ratio(ratio) => format!("{ratio:.3}"),
            Value::Share(share) => percent(*share),
            Value::Bytes(bytes) => three_digits(*bytes as f64 / 1e6),
            Value::Number(number) => three_digits(*number),
        }
    }

    /// For programs: numbers in full; nothing is `null`.
    pub fn exact(&self) -> serde_json::Value {
        match self {
            Value::None => serde_json::Value::Null,
            Value::Text(text) | Value::Unshown(text) => text.clone().into(),
            Value::Count(count) | Value::Bytes(count) => (*count).into(),
            Value::Flag { is, .. } => (*is).into(),
            Value::Nanoseconds(x) | Value::Ratio(x) | Value::Share(x) | Value::Number(x) => (*x).into(),
        }
    }

    /// Whether it is written to the right.
    pub fn is_number(&self) -> bool {
        !matches!(self, Value::Text(_) | Value::Unshown(_) | Value::Flag { .. })
    }
}

/// A share of a limit in percent; with a mark where the limit was exceeded, which [`above_the_limit`](super::above_the_limit) explains.
pub fn percent(share: f64) -> String {
    format!("{:.0}%{}", 100.0 * share, if share > 1.0 { " !" } else { "" })
}

/// A duration in a fitting unit, with three digits.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{} s", three_digits(ns / 1e9)),
        ns if ns >= 1e6 => format!("{} ms", three_digits(ns / 1e6)),
        ns if ns >= 1e3 => format!("{} us", three_digits(ns / 1e3)),
        ns => format!("{} ns", three_digits(ns)),
    }
}

/// A positive number with three digits.
pub fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
