//! `man`: the manual's pages, one for the program and one for each verb, made from the command line's own definition.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;

use crate::cmd::Verdict;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write a file for each page into this folder [default: all pages to standard output]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, command: Command, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    for page in pages(command) {
        match &args.dir {
            None => page.render(out)?,
            Some(dir) => {
                let path = dir.join(page.get_filename());
                page.generate_to(dir).with_context(|| format!("cannot write {}", path.display()))?;
                writeln!(out, "{}", path.display())?;
            }
        }
    }
    Ok(Verdict::Fine)
}

fn pages(command: Command) -> Vec<Man> {
    // `layerbench help` is no verb of its own; built, every verb knows its full name.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs: Vec<Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    std::iter::once(command).chain(verbs).map(Man::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_verbs_have_no_page() {
        let command =
            Command::new("top").subcommand(Command::new("shown")).subcommand(Command::new("__own").hide(true));
        let mut text = Vec::new();
        run(&Args { dir: None }, command, &mut text).expect("written");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains(".TH top-shown") && !text.contains("__own"), "{text}");
    }
}
