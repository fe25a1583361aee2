//! What foreign text needs before it is shown or parsed: escapes for a screen, quotes for a shell, and the place of a mistake in a file.
//! Knows no format of this program.

mod escape;
mod json;
mod shell;
mod unique;
mod utf8;

pub(crate) use escape::{visible, visible_lines};
pub(crate) use json::json_problem;
pub(crate) use shell::{shell_option, shell_word};
pub(crate) use unique::Unique;
pub(crate) use utf8::utf8;

/// A mistake in a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What was found, and how to mend it.
    pub problem: String,
}

impl Mistake {
    /// At a byte of `text`.
    fn at(text: &str, byte: usize, problem: String) -> Self {
        let before = &text[..text.floor_char_boundary(byte)];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        Mistake { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1, problem }
    }
}
