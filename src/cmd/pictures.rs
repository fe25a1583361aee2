//! Picture sets for the verbs that take files. They are read by a guarded child of this very executable, whichever it is:
//! the hidden verb here is the child's half.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::child::{Channel, Program};
use crate::cmd::{Verdict, interrupt};
use crate::data::{PictureSet, Sha256, Split, guard};

/// The hidden verb.
pub(crate) const VERB: &str = "__read-pictures";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which data sets to read
    #[arg(value_parser = ["train", "test"])]
    split: String,
    /// From which file
    path: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let split = if args.split == "train" { Split::Train } else { Split::Test };
    let channel = Channel::of_child().context("this verb is for children of verbs that read pictures")?;
    guard::serve(&args.path, split, channel)?;
    Ok(Verdict::Fine)
}

/// Reads an HDF5 file; refuses it if its SHA-256 is another than `expected`.
pub(crate) fn load(path: &Path, split: Split, expected: Option<Sha256>) -> anyhow::Result<PictureSet> {
    let this = Program::own().context("cannot find this executable, which reads files in a child of itself")?;
    let mut reader = this.command(&[VERB, split.name()]);
    // The child multiplies nothing: without this, OpenBLAS starts a thread per core there.
    reader.env("OPENBLAS_NUM_THREADS", "1");
    // The reader gets a copy of the file, which a signal must not leave behind.
    interrupt::listen()?;
    Ok(guard::read(path, expected, reader)?)
}
