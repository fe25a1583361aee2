//! Cost files: CSV with the header `iteration,cost` and a line per iteration, as `train --costs` writes them. Read strictly, drawn elsewhere.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

const HEADER: &str = "iteration,cost";
/// Ten million iterations; what is larger is not a cost file.
const MAX_BYTES: u64 = 256 << 20;

/// The (iteration, cost) pairs of a file, iterations rising. Costs may be NaN or infinite: a run that failed is worth a look too.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::Costs`] with the line that is not as expected.
pub fn read(path: &Path) -> Result<Vec<(usize, f64)>> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    let wrong = |line: usize, problem: String| Error::Costs { path: path.to_owned(), line, problem };
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(1, format!("the file is larger than {} MiB, the most that is read", MAX_BYTES >> 20)));
    }
    let mut lines = text.lines().zip(1..);
    match lines.next() {
        Some((HEADER, _)) => {}
        found => {
            let found = found.map_or("nothing".into(), |(header, _)| quoted(header));
            return Err(wrong(1, format!("expected the header `{HEADER}`, found {found}")));
        }
    }
    let mut costs: Vec<(usize, f64)> = Vec::new();
    for (text, line) in lines {
        let pair =
            text.split_once(',').and_then(|(iteration, cost)| Some((iteration.parse().ok()?, cost.parse().ok()?)));
        let Some((iteration, cost)) = pair else {
            return Err(wrong(line, format!("expected a whole number, a comma and a number, found {}", quoted(text))));
        };
        if let Some(&(before, _)) = costs.last().filter(|(before, _)| *before >= iteration) {
            return Err(wrong(line, format!("iteration {iteration} comes after {before}; expected them to rise")));
        }
        costs.push((iteration, cost));
    }
    if costs.is_empty() {
        return Err(wrong(1, "there is no cost after the header; expected a line per iteration".into()));
    }
    Ok(costs)
}

/// The start of a line, fit for a message.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    let rest = if start.len() < text.len() { "..." } else { "" };
    format!("`{}{rest}`", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Vec<(usize, f64)>> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        read(file.path())
    }

    #[test]
    fn pairs_are_read_exactly() {
        let costs = read_text(b"iteration,cost\n0,0.6930497356599891\r\n5,1e-7\n7,inf\n").expect("well-formed");
        assert_eq!(costs, [(0, 0.6930497356599891), (5, 1e-7), (7, f64::INFINITY)]);
        assert!(read_text(b"iteration,cost\n0,NaN").expect("well-formed")[0].1.is_nan());
    }

    #[test]
    fn what_is_malformed_is_refused_with_its_line() {
        let table: [(&[u8], &str); 10] = [
            (b"", "line 1: expected the header `iteration,cost`, found nothing"),
            (b"step,loss\n0,1\n", "line 1: expected the header `iteration,cost`, found `step,loss`"),
            (b"iteration,cost\n", "line 1: there is no cost after the header"),
            (b"iteration,cost\n0,1\n\n", "line 3: expected a whole number, a comma and a number, found ``"),
            (b"iteration,cost\n0,1\n1;2\n", "line 3: expected a whole number, a comma and a number, found `1;2`"),
            (b"iteration,cost\n-1,1\n", "line 2: expected a whole number"),
            (b"iteration,cost\n0.5,1\n", "line 2: expected a whole number"),
            (b"iteration,cost\n0,1,2\n", "line 2: expected a whole number"),
            (b"iteration,cost\n0,1\n0,1\n", "line 3: iteration 0 comes after 0"),
            (b"\xff\xfe", "valid UTF-8"),
        ];
        for (text, expected) in table {
            let error = read_text(text).expect_err("malformed").to_string();
            assert!(error.contains(expected), "{error}");
        }
        let long = format!("iteration,cost\n{}\n", "\u{1b}x".repeat(1000));
        let error = read_text(long.as_bytes()).expect_err("malformed").to_string();
        assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
    }
}
