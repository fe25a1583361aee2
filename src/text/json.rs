//! What is wrong with a text that is no JSON, in the words of those who write such files by hand or from Python.

use serde_json::Error;
use serde_json::error::Category;

use super::{Mistake, visible};

/// What `error`, which serde_json gave for `text`, means, and where.
pub(crate) fn json_problem(text: &str, error: &Error) -> Mistake {
    let at = offset(text, error);
    let (line, column) = (error.line(), error.column());
    let told = error.to_string();
    let told = told.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&told);
    if error.is_data() {
        // It is JSON, and not of the form that was asked for.
        return Mistake::at(text, at, told.into());
    }
    let (at, hint) = hint(text, at, error.classify() == Category::Eof).unwrap_or((at, told.into()));
    Mistake::at(text, at, format!("not JSON: {hint}"))
}

/// The byte at which serde_json stopped. Its columns count bytes from 1, and are 0 at a line's beginning.
fn offset(text: &str, error: &Error) -> usize {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    text.floor_char_boundary((line + error.column().saturating_sub(1)).min(text.len()))
}

/// The mistakes that one makes, and their place: at `at` or shortly before it.
fn hint(text: &str, at: usize, ended: bool) -> Option<(usize, String)> {
    if text.trim().is_empty() {
        return Some((0, "it is empty".into()));
    }
    if text.starts_with('\u{feff}') {
        return Some((0, "it begins with a byte order mark; save it as UTF-8 without one".into()));
    }
    if ended {
        return Some((text.trim_end().len(), "it ends too early: is the file whole?".into()));
    }
    let rest = &text[at..];
    if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
        return Some((at, "it has no comments; put the text under a key of its own, such as `notes`".into()));
    }
    let before = text[..at].trim_end();
    if rest.starts_with([']', '}']) && before.ends_with(',') {
        return Some((before.len() - 1, "a comma that nothing follows; take it away".into()));
    }
    if rest.starts_with('\'') {
        return Some((at, "texts and keys stand in double quotes".into()));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    let start =
        text[..at].rfind(|c| !is_word(c)).map_or(0, |end| end + text[end..].chars().next().map_or(1, char::len_utf8));
    let word = &text[start..at + rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
    let hint = match word.trim_start_matches(['-', '+']).to_ascii_lowercase().as_str() {
        "nan" | "inf" | "infinity" => "has no such number: numbers are finite",
        "true" => "has it as `true`",
        "false" => "has it as `false`",
        "none" | "undefined" => "has it as `null`",
        number if word.starts_with('+') && number.starts_with(|c: char| c.is_ascii_digit()) => "has no plus sign there",
        number if number.starts_with('.') || number.ends_with('.') => "has digits on both sides of a point",
        _ => return None,
    };
    Some((start, format!("`{}`: JSON {hint}", visible(word))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Mistake {
        let error = serde_json::from_str::<serde_json::Value>(text).expect_err(text);
        json_problem(text, &error)
    }

    #[test]
    fn the_usual_mistakes_are_named_and_placed() {
        for (text, line, column, part) in [
            ("", 1, 1, "it is empty"),
            ("\u{feff}{}", 1, 1, "byte order mark"),
            ("{\n \"a\": [1, NaN]}", 2, 11, "`NaN`: JSON has no such number"),
            ("[1, nan]", 1, 5, "`nan`: JSON has no such number"),
            ("[-Infinity]", 1, 2, "`-Infinity`: JSON has no such number"),
            ("[inf, 1]", 1, 2, "`inf`: JSON has no such number"),
            ("[\"é\", Infinity]", 1, 7, "`Infinity`"),
            ("{ // first\n \"a\": 1}", 1, 3, "no comments"),
            ("[1, /* two */ 2]", 1, 5, "no comments"),
            ("[1,\n# two\n2]", 2, 1, "no comments"),
            ("[1, 2,]", 1, 6, "a comma that nothing follows"),
            ("{\"a\": 1,\n}", 1, 8, "a comma that nothing follows"),
            ("{'a': 1}", 1, 2, "double quotes"),
            ("[True]", 1, 2, "`True`: JSON has it as `true`"),
            ("[None]", 1, 2, "`None`: JSON has it as `null`"),
            ("[.5]", 1, 2, "`.5`: JSON has digits on both sides"),
            ("[5.]", 1, 2, "`5.`: JSON has digits on both sides"),
            ("[+5]", 1, 2, "`+5`: JSON has no plus sign"),
            ("{\"a\": [1, 2", 1, 12, "it ends too early"),
            ("[1] [2]", 1, 5, "trailing characters"),
            ("[1e999]", 1, 6, "number out of range"),
        ] {
            let mistake = problem(text);
            assert_eq!((mistake.line, mistake.column), (line, column), "{text}: {}", mistake.problem);
            assert!(
                mistake.problem.starts_with("not JSON: ") && mistake.problem.contains(part),
                "{text}: {}",
                mistake.problem
            );
        }
    }

    #[test]
    fn json_of_another_form_is_not_called_no_json() {
        let text = "{\"a\":\n \"x\"}";
        let error = serde_json::from_str::<std::collections::BTreeMap<String, u8>>(text).expect_err("a text");
        let mistake = json_problem(text, &error);
        assert!(mistake.problem.starts_with("invalid type") && mistake.line == 2, "{mistake:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_problem_or_is_json(text in "[\\[\\]{},:'\"/*#a-eN.+ \n\u{feff}é0-2-]{0,12}") {
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
                let mistake = json_problem(&text, &error);
                assert!(mistake.line >= 1 && mistake.column >= 1 && mistake.problem.starts_with("not JSON: "));
            }
        }
    }
}
