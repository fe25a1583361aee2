//! `diff`: the same cells in two record files, with a verdict each. Measures nothing, and fails nothing: a slower cell is no error. A cell
//! whose time is not to be trusted leaves it without a verdict.

use std::io::Write;
use std::path::PathBuf;

use crate::cmd::input::expect_one_stdin;
use crate::cmd::measure::Selection;
use crate::cmd::{Verdict, results};
use crate::compare::difference::{differences, noise};
use crate::report::{self, Screen, TableFormat};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The record file to start from; one of the two may be `-`, standard input
    #[arg(value_name = "FIRST")]
    first: PathBuf,
    /// The one that is held against it
    #[arg(value_name = "SECOND")]
    second: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// How the table is written
    #[arg(long, value_enum, default_value = "text")]
    format: TableFormat,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write, screen: Screen) -> anyhow::Result<Verdict> {
    expect_one_stdin([&args.first, &args.second])?;
    let read = |path: &PathBuf| results(std::slice::from_ref(path), &args.selection);
    let (first, second) = (read(&args.first)?, read(&args.second)?);
    let differences = differences(&first, &second);
    write!(out, "{}", args.format.render(&report::difference(&differences), screen))?;
    let count = |name| differences.iter().filter(|difference| difference.verdict.name() == name).count();
    let mistrusted = count(MISTRUSTED);
    if args.format == TableFormat::Text {
        let mut names = vec!["faster", "slower", "no difference", "not comparable"];
        names.extend((mistrusted > 0).then_some(MISTRUSTED));
        let counts: Vec<String> = names.into_iter().map(|name| format!("{} {name}", count(name))).collect();
        writeln!(out, "\n{}", report::noise(&noise(&first, &second)))?;
        writeln!(out, "\n{}", counts.join(", "))?;
        writeln!(out, "(no difference: none larger than the interval; a wide one tells little)")?;
        if let Some([first, second]) = differences.iter().find_map(|difference| difference.nodes.as_ref()) {
            writeln!(
                out,
                "note: there are nodes of one class, such as `{first}` and `{second}`: what these differ in is in the ratios, and not in their intervals"
            )?;
        }
    }
    Ok(if mistrusted > 0 { Verdict::Inconclusive } else { Verdict::Fine })
}

/// The name of that verdict.
const MISTRUSTED: &str = "MISTRUSTED";
