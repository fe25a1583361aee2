//! How a verb ended, and the one table of exit codes.

use super::interrupt;

/// What each exit code means, as every help text, every page of the manual and the README have it.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 fine, 1 a result is wrong, 2 usage or environment, 3 slower or below expectation (no verb yet), \
                                     4 no verdict (mistrusted, inconclusive), 130 interrupted. A wrong result outranks everything else.";

/// How a verb ended that could do its work. What could not, an error, is exit code 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to complain of.
    Fine,
    /// A result is wrong.
    Incorrect,
    /// Nothing is wrong, and it means too little to say that all is right.
    Inconclusive,
    /// Ctrl-C ended it, cleanly: what was done is saved.
    Interrupted,
}

/// The exit code of an error.
pub(crate) const ERROR: u8 = 2;

impl Verdict {
    /// The program's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Fine => 0,
            Verdict::Incorrect => 1,
            Verdict::Inconclusive => 4,
            Verdict::Interrupted => interrupt::EXIT_CODE,
        }
    }

    /// How a verb ended whose results had this verdict, and whose later work (a report, a file) ended in `rest`. A wrong result outranks an
    /// error, which is told here.
    pub fn despite(self, rest: anyhow::Result<()>) -> anyhow::Result<Verdict> {
        match rest {
            Err(error) if self == Verdict::Incorrect => tell_error(&error),
            rest => rest?,
        }
        Ok(self)
    }
}

/// Tells an error on standard error.
pub(crate) fn tell_error(error: &anyhow::Error) {
    super::tell!("error: {}", told(error));
}

/// An error and its causes, less those that are told already: many errors name their cause themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        text if text.contains(&cause) => told,
        text => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn no_cause_is_told_twice() {
        let cause = || io::Error::new(io::ErrorKind::NotFound, "it is gone");
        let plain = anyhow::Error::new(cause()).context("cannot read a.txt");
        assert_eq!(told(&plain), "cannot read a.txt: it is gone");
        let own = crate::Error::Io { action: "read", path: "a.txt".into(), source: cause() };
        assert_eq!(told(&anyhow::Error::new(own)), "cannot read a.txt: it is gone");
    }

    #[test]
    fn a_wrong_result_outranks_an_error() {
        let broken = || Err(anyhow::anyhow!("the disk is full"));
        assert_eq!(Verdict::Incorrect.despite(broken()).ok(), Some(Verdict::Incorrect));
        for verdict in [Verdict::Fine, Verdict::Inconclusive, Verdict::Interrupted] {
            assert!(verdict.despite(broken()).is_err());
            assert_eq!(verdict.despite(Ok(())).ok(), Some(verdict));
        }
    }

    #[test]
    fn the_table_names_every_code() {
        let all = [Verdict::Fine, Verdict::Incorrect, Verdict::Inconclusive, Verdict::Interrupted];
        let codes: Vec<u8> = all.iter().map(|verdict| verdict.exit_code()).chain([ERROR]).collect();
        for (i, code) in codes.iter().enumerate() {
            assert!(!codes[..i].contains(code) && EXIT_CODES.contains(&format!(" {code} ")), "{code}");
        }
        let readme = include_str!("../../README.md").replace('\n', " ");
        assert!(readme.contains(EXIT_CODES), "the README has another table");
    }
}
