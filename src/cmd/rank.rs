//! `rank`: who is fastest, from records. Measures nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use crate::cmd::measure::Selection;
use crate::cmd::{Verdict, results};
use crate::compare::ranking::rank;
use crate::compare::{Kind, Results};
use crate::measure::record::CellRecord;
use crate::report::{self, Format};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Record files of `measure`; of cells that are in several, the last file's count
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// The machine, by its id in the records or the start of it; needed where they are of several
    #[arg(long, value_name = "ID")]
    machine: Option<String>,
    /// Show the cells with their times, rates and errors instead of a ranking
    #[arg(long)]
    cells: bool,
    /// How the table is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let mut results = results(&args.files, &args.selection)?;
    if let Some(id) = &args.machine {
        let known = machines(&results);
        results.retain(|record| record.machine.starts_with(id.as_str()));
        if results.cells().is_empty() {
            bail!("no record is of a machine `{id}`; there are {known}");
        }
        if are_several(&results) {
            bail!("`{id}` fits several machines: {}", machines(&results));
        }
    }
    if args.cells {
        write!(out, "{}", args.format.render(&report::cells(&results)))?;
        if matches!(args.format, Format::Text | Format::Markdown) {
            write!(out, "{}", report::above_the_limit(&results))?;
        }
        return Ok(Verdict::Fine);
    }
    if are_several(&results) {
        bail!("the records are of several machines: {}; pick one with --machine", machines(&results));
    }
    for (backend, libraries) in several_libraries(&results) {
        eprintln!("note: {backend} was measured with several libraries or kernels: {libraries}");
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
        writeln!(out, "\n{}", report::noise(results.noise(Kind::Twins)))?;
        writeln!(out, "\n{}", report::sentence(overall))?;
    }
    Ok(Verdict::Fine)
}

/// Backends whose cells come from more than one library, kernel or version.
fn several_libraries(results: &Results) -> Vec<(String, String)> {
    let mut libraries = BTreeMap::<&str, BTreeSet<&str>>::new();
    for record in results.cells() {
        if let Some(measured) = record.measured() {
            libraries.entry(&record.cell.backend).or_default().insert(&measured.library);
        }
    }
    let several = libraries.into_iter().filter(|(_, names)| names.len() > 1);
    several.map(|(backend, names)| (backend.to_owned(), Vec::from_iter(names).join("; "))).collect()
}

fn are_several(results: &Results) -> bool {
    results.cells().windows(2).any(|pair| pair[0].machine != pair[1].machine)
}

/// The machines of the records: ids, and CPUs where the files tell.
fn machines(results: &Results) -> String {
    let name = |record: &CellRecord| {
        let cpu = results.machine(record).and_then(|machine| machine.facts.cpu.as_deref());
        format!("{} ({})", record.machine, cpu.unwrap_or("unknown CPU"))
    };
    let names: BTreeSet<String> = results.cells().iter().map(name).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
