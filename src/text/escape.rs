//! Names that come from files, backends and machines, as a screen may show them.

use std::fmt::{Display, Write};

/// The text with every character escaped that is not seen where it stands: controls (ESC could move the cursor, CR write over what is
/// there), bidirectional overrides, line separators, and what is no character at all, such as U+FFFE, which XML forbids.
/// An escaped text stays as it is.
pub(crate) fn visible(text: impl Display) -> String {
    let text = text.to_string();
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Writing to a string cannot fail.
            _ if is_hidden(c) => drop(write!(shown, "{}", c.escape_default())),
            _ => shown.push(c),
        }
    }
    shown
}

/// The same for a text that may have lines, such as a message that shows a part of a file.
pub(crate) fn visible_lines(text: impl Display) -> String {
    text.to_string().split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Whether a reader would not see it, or see something else because of it.
pub(super) fn is_hidden(c: char) -> bool {
    let is_noncharacter = (c as u32 & 0xfffe) == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    let is_format = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || is_noncharacter || is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        for (text, shown) in [
            ("plain, ±µ漢 'x'", "plain, ±µ漢 'x'"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{202e}\u{2066}\u{200b}\u{feff}", "\\u{202e}\\u{2066}\\u{200b}\\u{feff}"),
            ("\u{7f}\u{9b}\u{fffe}\u{ffff}\u{1fffe}", "\\u{7f}\\u{9b}\\u{fffe}\\u{ffff}\\u{1fffe}"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible(shown), shown, "an escape is not escaped again");
        }
        assert_eq!(visible_lines("a\x1b\nb"), "a\\u{1b}\nb");
    }

    /// XML 1.0, production 2.
    #[test]
    fn whatever_is_shown_may_stand_in_xml() {
        let is_xml =
            |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        for c in ('\0'..=char::MAX).filter(|&c| !is_xml(c)) {
            assert!(visible(c).chars().all(is_xml), "{:x}", c as u32);
        }
    }
}
