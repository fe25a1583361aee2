//! `rank`: who is fastest, from records. Measures nothing.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use crate::cmd::measure::Selection;
use crate::cmd::{Verdict, results};
use crate::compare::ranking::rank;
use crate::report::{self, Format};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Record files of `measure`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Show the cells with their times, rates and errors instead of a ranking
    #[arg(long)]
    cells: bool,
    /// How the table is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let results = results(&args.files, &args.selection)?;
    if args.cells {
        write!(out, "{}", args.format.render(&report::cells(&results)))?;
        return Ok(Verdict::Fine);
    }
    let mut machines: Vec<&str> = results.cells().iter().map(|record| record.machine.as_str()).collect();
    machines.sort_unstable();
    machines.dedup();
    if machines.len() > 1 {
        bail!(
            "the records are of {} machines ({}); rank each machine's file on its own",
            machines.len(),
            machines.join(", ")
        );
    }
    let rankings = rank(&results);
    let Some(overall) = rankings.first() else {
        bail!(
            "no cell was measured by all backends and thread counts in the records; narrow them with -e, -w, -m, -s or -t"
        );
    };
    write!(out, "{}", args.format.render(&report::ranking(&rankings)))?;
    if args.format == Format::Text {
        if overall.left_out > 0 {
            writeln!(out, "\n{} comparisons that not all of them took part in do not count", overall.left_out)?;
        }
        writeln!(out, "\n{}", report::sentence(overall))?;
    }
    Ok(Verdict::Fine)
}
