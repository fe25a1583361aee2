//! Picture sets for the verbs that take files. They are read by a guarded child of this very executable, whichever it is:
//! the hidden verb here is the child's half.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::cmd::Verdict;
use crate::data::{PictureSet, Sha256, Split, guard};

/// The hidden verb.
pub(crate) const VERB: &str = "__read-pictures";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which data sets to read from the file on standard input
    #[arg(value_parser = ["train", "test"])]
    split: String,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let split = if args.split == "train" { Split::Train } else { Split::Test };
    guard::serve(split, out)?;
    Ok(Verdict::Fine)
}

/// Reads an HDF5 file; refuses it if its SHA-256 is another than `expected`.
pub(crate) fn load(path: &Path, split: Split, expected: Option<Sha256>) -> anyhow::Result<PictureSet> {
    let this =
        std::env::current_exe().context("cannot find this executable, which reads files in a child of itself")?;
    let mut reader = Command::new(this);
    reader.arg(VERB).arg(split.name());
    // The child multiplies nothing: without this, OpenBLAS starts a thread per core there.
    reader.env("OPENBLAS_NUM_THREADS", "1");
    Ok(guard::read(path, expected, reader)?)
}
