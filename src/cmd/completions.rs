//! `completions`: a shell's completion script, made from the command line's own definition.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use crate::cmd::Verdict;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &Command, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    // In memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(command), PROGRAM, &mut script);
    out.write_all(&script)?;
    Ok(Verdict::Fine)
}

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The command without its hidden verbs. clap_complete names them too, and clap takes no verb out: it is put together again.
fn visible(command: &Command) -> Command {
    Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .args(command.get_arguments().cloned())
        .groups(command.get_groups().cloned())
        .subcommands(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn hidden_verbs_are_in_no_script() {
        let command =
            Command::new(PROGRAM).subcommand(Command::new("shown")).subcommand(Command::new("__own").hide(true));
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            run(&Args { shell: *shell }, &command, &mut script).expect("written");
            let script = String::from_utf8(script).expect("text");
            assert!(script.contains("shown") && !script.contains("__own"), "{shell}: {script}");
        }
    }
}
