//! `drawspan completions`: shell completions.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan completions bash \\
    > ~/.local/share/bash-completion/completions/drawspan
  drawspan completions zsh > ~/.zfunc/_drawspan
  drawspan completions fish > ~/.config/fish/completions/drawspan.fish";

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    // Into memory: writing elsewhere may fail, and that would be a panic there.
    clap_complete::generate(args.shell, &mut Cli::command(), "drawspan", &mut script);
    say::result(String::from_utf8_lossy(&script))
}
