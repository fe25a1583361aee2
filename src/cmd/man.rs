//! `man`: the manual's pages, one for the program and one for each verb, made from the command line's own definition.

use std::io::Write;
use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;

use crate::cmd::Verdict;
use crate::cmd::output::Output;
use crate::cmd::paths::Paths;
use crate::text::visible;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write a file for each page into this folder [default: all pages to standard output]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, command: Command, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let pages = pages(command);
    if let Some(dir) = &args.dir {
        let files = pages.iter().map(|page| dir.join(page.get_filename()));
        Paths::default().writes("--dir", files).check()?;
    }
    for page in pages {
        let mut text = Vec::new();
        page.render(&mut text)?;
        match &args.dir {
            None => out.write_all(&text)?,
            Some(dir) => {
                let path = dir.join(page.get_filename());
                Output::create(&path, text.len() as u64)?.write(&text)?;
                writeln!(out, "{}", visible(path.display()))?;
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
