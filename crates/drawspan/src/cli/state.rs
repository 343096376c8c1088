//! Flags and helpers that the commands on a state directory have in common.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use drawspan_store::default_keyring;
use drawspan_store::manage::Progress;

use super::EXIT_USAGE;
use super::load::bar_of;
use super::say;

/// Flags that name a state directory.
#[derive(Args, Clone)]
pub(super) struct StateArgs {
    /// State directory of serve [env: DRAWSPAN_STATE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Its key ring [env: DRAWSPAN_KEYRING] [default: keyring in the state directory]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

/// A state directory and its key ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) directory: PathBuf,
    pub(super) keyring: PathBuf,
}

impl StateArgs {
    /// Finds the state directory by the flags and the environment.
    pub(super) fn find(&self) -> Result<State, ExitCode> {
        let found = self.find_in(|name| std::env::var_os(name));
        found.ok_or_else(|| {
            say::error("which state directory? Give --state DIR, or set DRAWSPAN_STATE");
            ExitCode::from(EXIT_USAGE)
        })
    }

    /// As everywhere, a flag takes precedence over a variable, and an empty variable counts as absent.
    fn find_in(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<State> {
        let or = |flag: &Option<PathBuf>, name| {
            let set = || variable(name).filter(|value| !value.is_empty());
            flag.clone().or_else(|| set().map(PathBuf::from))
        };
        let directory = or(&self.state, "DRAWSPAN_STATE")?;
        let keyring = or(&self.keyring, "DRAWSPAN_KEYRING");
        Some(State {
            keyring: keyring.unwrap_or_else(|| default_keyring(&directory)),
            directory,
        })
    }
}

/// A progress bar; hidden without a terminal.
pub(super) fn bar(unit: &'static str) -> impl FnMut(Progress) {
    let bar = bar_of(0).with_message(unit);
    move |progress| {
        bar.set_length(progress.all);
        bar.set_position(progress.done);
        if progress.done >= progress.all {
            bar.finish_and_clear();
        }
    }
}

/// Numbers of keys as a text.
pub(super) fn numbers(keys: &[u32]) -> String {
    let numbers: Vec<String> = keys.iter().map(u32::to_string).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_variables() {
        let check = |state: Option<&str>, keyring: Option<&str>, expected: Option<(&str, &str)>| {
            let args = StateArgs {
                state: state.map(PathBuf::from),
                keyring: keyring.map(PathBuf::from),
            };
            let variable = |name: &str| match name {
                "DRAWSPAN_STATE" => Some("from-env".into()),
                _ => Some(OsString::new()),
            };
            let expected = expected.map(|(directory, keyring)| State {
                directory: directory.into(),
                keyring: keyring.into(),
            });
            assert_eq!(args.find_in(variable), expected);
        };
        check(None, None, Some(("from-env", "from-env/keyring")));
        check(Some("a"), None, Some(("a", "a/keyring")));
        check(Some("a"), Some("k"), Some(("a", "k")));
        let nothing = StateArgs {
            state: None,
            keyring: None,
        };
        assert_eq!(nothing.find_in(|_| None), None);
    }
}
