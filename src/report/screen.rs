//! What text is written for: a terminal of some width, or whatever else reads it.

use std::ffi::OsString;
use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table as Grid, presets};

/// How wide the output may be, and which characters it can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Its columns; none where lines may have any length.
    pub width: Option<usize>,
    /// Whether it shows more than ASCII.
    pub unicode: bool,
}

impl Screen {
    /// A pipe or a file: lines of any length, in ASCII.
    pub const PLAIN: Screen = Screen { width: None, unicode: false };

    /// Standard output: lines as wide as the terminal, and lines drawn with more than ASCII where its locale has them.
    pub fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return Screen::PLAIN;
        }
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        // A terminal that does not tell is as wide as those of old.
        Screen {
            width: Some(if columns == 0 { 80 } else { columns }),
            unicode: shows_unicode(|name| std::env::var_os(name)),
        }
    }

    /// An empty table.
    pub(super) fn grid(self) -> Grid {
        let mut grid = Grid::new();
        grid.load_style(if self.unicode { presets::UTF8_HORIZONTAL_ONLY } else { presets::ASCII_HORIZONTAL_ONLY });
        grid
    }

    /// Whether a table fits as it is.
    pub(super) fn fits(self, grid: &Grid) -> bool {
        self.width.is_none_or(|width| width_of(grid) <= width)
    }

    /// Breaks a table's lines so that it fits in any case.
    pub(super) fn wrap(self, grid: &mut Grid) {
        if let Some(width) = self.width.filter(|_| !self.fits(grid)) {
            grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.try_into().unwrap_or(u16::MAX));
        }
    }

    /// The sign between a number and its spread.
    pub(super) fn plus_minus(self) -> &'static str {
        if self.unicode { "±" } else { "+-" }
    }
}

/// Each column has a space on both sides, and there is one more between two.
fn width_of(grid: &Grid) -> usize {
    let columns: usize = grid.column_max_content_widths().iter().map(|&width| usize::from(width) + 3).sum();
    columns.saturating_sub(1)
}

/// As the C library decides: the first of these variables that is set names the locale, and its encoding.
fn shows_unicode(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let value = |name: &str| variable(name).map(|value| value.to_string_lossy().to_ascii_lowercase());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| value(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| locale.contains("utf-8") || locale.contains("utf8"))
        && value("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_decides() {
        let shows = |set: &[(&str, &str)]| {
            shows_unicode(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert!(shows(&[("LANG", "de_DE.UTF-8")]) && shows(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        for plain in [&[][..], &[("LANG", "C")], &[("LC_ALL", "POSIX"), ("LANG", "en_GB.UTF-8")], &[("LANG", "de_DE")]]
        {
            assert!(!shows(plain), "{plain:?}");
        }
        assert!(!shows(&[("LANG", "en_GB.UTF-8"), ("TERM", "dumb")]));
    }

    #[test]
    fn a_width_is_that_of_the_longest_line() {
        for unicode in [true, false] {
            let screen = Screen { width: Some(20), unicode };
            let mut grid = screen.grid();
            grid.set_header(["a", "beta"]).add_row(["one two three four", "2\nlonger"]);
            let longest = |grid: &Grid| grid.lines().map(|line| line.chars().count()).max();
            assert_eq!(longest(&grid), Some(width_of(&grid)));
            screen.wrap(&mut grid);
            assert!(longest(&grid) <= Some(20), "{grid}");
        }
    }
}
