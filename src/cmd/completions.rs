//! `completions`: a shell's completion script, made from the command line's own definition and the names in the registry.

use std::io::Write;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};
use clap_complete::Shell;

use crate::backend::Registry;
use crate::cmd::{Verdict, program_name};
use crate::verify::{checks, fixture};
use crate::workload::{Phase, Workload};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &Command, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    // In memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    let program = program_name();
    clap_complete::generate(args.shell, &mut offering(command, &program, registry), program.clone(), &mut script);
    out.write_all(&script)?;
    Ok(Verdict::Fine)
}

/// The command as this program is called, without its hidden verbs, offering the names there are. clap_complete names hidden verbs too, and
/// clap takes no verb out: it is put together again.
fn offering(command: &Command, program: &str, registry: &Registry) -> Command {
    let offer = |command: Command| command.mut_args(|arg| with_values(arg, registry));
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let top = Command::new(program.to_owned())
        .version(env!("CARGO_PKG_VERSION"))
        .args(command.get_arguments().cloned())
        .groups(command.get_groups().cloned())
        .subcommands(verbs.map(offer));
    offer(top)
}

/// Offers the values of an option that takes a name, whichever verb it is of. (A name is an expression that finds itself.)
fn with_values(arg: Arg, registry: &Registry) -> Arg {
    let backends = || registry.entries().iter().map(|entry| entry.name().to_owned());
    let names: Vec<String> = match arg.get_long() {
        Some("backend") => backends().collect(),
        Some("require") => backends().chain(registry.left_out().into_iter().map(|(name, _)| name.to_owned())).collect(),
        Some("workloads") => Workload::embedded().into_iter().map(|workload| workload.name).collect(),
        Some("phase") => Phase::ALL.iter().map(|phase| phase.name().to_owned()).collect(),
        Some("check") => {
            let cases = fixture::embedded().into_iter().map(|case| case.name);
            checks::all().iter().map(|check| check.name.to_owned()).chain(cases).collect()
        }
        _ => return arg,
    };
    // What a script would have to quote is not offered: each shell does it in its own way.
    let plain = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    arg.value_parser(PossibleValuesParser::new(names.into_iter().filter(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::faults;
    use clap::ValueEnum;

    fn script(shell: Shell, command: &Command) -> String {
        let mut script = Vec::new();
        let mut registry = Registry::builtin();
        registry.add(faults::control()).expect("it has another name");
        run(&Args { shell }, command, &registry, &mut script).expect("written");
        String::from_utf8(script).expect("text")
    }

    #[test]
    fn hidden_verbs_are_in_no_script() {
        let command =
            Command::new("top").subcommand(Command::new("shown")).subcommand(Command::new("__own").hide(true));
        for shell in Shell::value_variants() {
            let script = script(*shell, &command);
            assert!(script.contains("shown") && !script.contains("__own"), "{shell}: {script}");
        }
    }

    #[test]
    fn a_strangers_backend_is_offered_wherever_one_is_asked_for() {
        let arg = || Arg::new("b").long("backend");
        let command = Command::new("top").arg(arg()).subcommand(Command::new("verb").arg(arg()));
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell, &command);
            let count = script.matches(faults::control().name()).count();
            assert!(count >= 2, "{shell} offers it in {count} places: {script}");
        }
    }
}
