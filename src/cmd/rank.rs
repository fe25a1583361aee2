//! `rank`: who is fastest, from records. Measures nothing. Cells whose times are not to be trusted have no place, and leave it without a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use crate::cmd::measure::Selection;
use crate::cmd::{Verdict, results, tell};
use crate::compare::ranking::rank;
use crate::compare::{Kind, Results};
use crate::layer::FirstLayer;
use crate::measure::record::{CellRecord, Library, Measured};
use crate::report::{self, Screen, TableFormat};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Record files of `measure`, or `-` for standard input; of cells that are in several, the last file's count
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// The machine, by its class's id in the records or the start of it; needed where they are of several
    #[arg(long, value_name = "ID")]
    machine: Option<String>,
    /// The machine, by its node's name; needed where the records are of several nodes
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Show the cells with their times, rates and errors instead of a ranking
    #[arg(long)]
    cells: bool,
    /// How the table is written
    #[arg(long, value_enum, default_value = "text")]
    format: TableFormat,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write, screen: Screen) -> anyhow::Result<Verdict> {
    let mut results = results(&args.files, &args.selection)?;
    let machine = args.machine.as_ref().map(|id| format!("machine `{id}`"));
    let node = args.node.as_ref().map(|node| format!("node `{node}`"));
    let picked: Vec<String> = machine.into_iter().chain(node).collect();
    if !picked.is_empty() {
        let known = machines(&results);
        results.retain(|record| {
            args.machine.as_ref().is_none_or(|id| record.machine.starts_with(id.as_str()))
                && args.node.as_ref().is_none_or(|node| record.node == *node)
        });
        if results.cells().is_empty() {
            bail!("no record is of {}; there are {known}", picked.join(", "));
        }
    }
    let mistrusted = results.all_mistrusted();
    let verdict = if mistrusted.is_empty() { Verdict::Fine } else { Verdict::Inconclusive };
    if args.cells {
        write!(out, "{}", args.format.render(&report::cells(&results), screen))?;
        if matches!(args.format, TableFormat::Text | TableFormat::Markdown) {
            write!(out, "{}", report::above_the_limit(&results))?;
        }
        return Ok(verdict);
    }
    if are_several(&results) {
        bail!("the records are of several machines: {}; pick one with --machine ID or --node NAME", machines(&results));
    }
    for (backend, libraries) in several_libraries(&results) {
        tell!("note: {backend} was measured with several libraries or kernels: {libraries}");
    }
    let ways: BTreeSet<FirstLayer> = results.cells().iter().map(|record| record.cell.first_layer).collect();
    if ways.len() > 1 {
        // Before the table, as its heading: it compares algorithms, not only programs.
        tell!(
            "note: the first layer is computed in several ways, which are different algorithms for the same result; --first-layer takes one"
        );
    }
    let rankings = rank(&results);
    if results.cells().iter().all(|record| record.measured().is_none()) {
        bail!("none of the {} cells could be measured; `rank --cells` shows why", results.cells().len());
    }
    let table = args.format.render(&report::ranking(&rankings, &mistrusted), screen);
    let Some(overall) = rankings.first() else {
        if verdict == Verdict::Inconclusive {
            write!(out, "{table}")?;
            return Ok(verdict);
        }
        bail!(
            "no cell was measured by all backends and thread counts in the records; narrow them with -e, -w, -m, -s or -t"
        );
    };
    write!(out, "{table}")?;
    if args.format == TableFormat::Text {
        if overall.left_out > 0 {
            writeln!(out, "\n{} comparisons that not all of them took part in do not count", overall.left_out)?;
        }
        writeln!(out, "\n{}", report::noise(results.noise(Kind::Twins)))?;
        writeln!(out, "\n{}", report::sentence(overall, &report::machine(&results, &results.cells()[0])))?;
    }
    Ok(verdict)
}

/// Backends whose cells come from more than one library, kernel or version.
fn several_libraries(results: &Results) -> Vec<(String, String)> {
    let mut libraries = BTreeMap::<&str, Vec<&Library>>::new();
    for record in results.cells() {
        if let Some(Measured { library, .. }) = record.measured() {
            let of_backend = libraries.entry(&record.cell.backend).or_default();
            if !of_backend.iter().any(|other| other.is_same(library)) {
                of_backend.push(library);
            }
        }
    }
    let several = libraries.into_iter().filter(|(_, libraries)| libraries.len() > 1);
    let names = |libraries: Vec<&Library>| libraries.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    several.map(|(backend, libraries)| (backend.to_owned(), names(libraries))).collect()
}

fn are_several(results: &Results) -> bool {
    results.cells().windows(2).any(|pair| pair[0].host() != pair[1].host())
}

/// The machines of the records: ids, and what the files tell of them.
fn machines(results: &Results) -> String {
    let name = |record: &CellRecord| format!("{} ({})", record.machine, report::machine(results, record));
    let names: BTreeSet<String> = results.cells().iter().map(name).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
