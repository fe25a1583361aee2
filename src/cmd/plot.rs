//! `plot`: cost files, as `train --costs` writes them, as one picture. Nothing is computed here.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use crate::cmd::output::Output;
use crate::cmd::paths::Paths;
use crate::cmd::{Verdict, tell};
use crate::report::costs;
use crate::report::plot::{Curve, Options, PictureFormat, render};
use crate::text::visible;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// CSV files of `train --costs`, drawn over each other
    #[arg(required = true, value_name = "COSTS")]
    costs: Vec<PathBuf>,
    /// The picture: a file that ends in .svg or .png
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Text above the curves
    #[arg(long)]
    title: Option<String>,
    /// A logarithmic cost axis
    #[arg(long)]
    log: bool,
    /// A curve's name in the legend, once for each file and in their order [default: the files' names]
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let format = PictureFormat::of(&args.output)?;
    Paths::default().reads("COSTS", &args.costs).writes("--output", [&args.output]).check()?;
    let curves = read(args)?;
    for curve in curves.iter().filter(|curve| curve.gaps(args.log) > 0) {
        let why = if args.log { "NaN, infinite, or not positive" } else { "NaN or infinite" };
        tell!(
            "warning: `{}` has gaps: {} of {} costs are {why}",
            visible(&curve.name),
            curve.gaps(args.log),
            curve.costs.len()
        );
    }
    let options = Options { title: args.title.clone(), log: args.log };
    let picture = render(&curves, format, &options)?;
    Output::create(&args.output, picture.len() as u64)?.write(&picture)?;
    let count = curves.len();
    writeln!(out, "{}: {count} {}", visible(args.output.display()), if count == 1 { "curve" } else { "curves" })?;
    Ok(Verdict::Fine)
}

fn read(args: &Args) -> anyhow::Result<Vec<Curve>> {
    let names = match args.names.len() {
        0 => names(&args.costs),
        given if given == args.costs.len() => args.names.clone(),
        given => bail!("--name is given {given} times for {} files; give it once for each, or never", args.costs.len()),
    };
    let curve = |(path, name): (&PathBuf, String)| Ok(Curve { name, costs: costs::read(path)? });
    args.costs.iter().zip(names).map(curve).collect()
}

/// The files' names without their extension; their whole paths where that would call two curves the same.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let stems: Vec<String> =
        paths.iter().map(|path| path.file_stem().unwrap_or(path.as_os_str()).display().to_string()).collect();
    let distinct = |name: &String| stems.iter().filter(|other| *other == name).count() == 1;
    let name =
        |(stem, path): (&String, &PathBuf)| if distinct(stem) { stem.clone() } else { path.display().to_string() };
    stems.iter().zip(paths).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_named_after_their_files_and_apart() {
        let named = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(named(&["runs/a.csv", "b.csv"]), ["a", "b"]);
        assert_eq!(named(&["x/costs.csv", "y/costs.csv", "b.csv"]), ["x/costs.csv", "y/costs.csv", "b"]);
    }
}
