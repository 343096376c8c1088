//! The settings as flags.

use std::fmt;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::settings::{SETTINGS, Spec};
use super::source::{Given, Source};

const CONFIG: &str = "config";
const ACCEPT_EMPTY_STORE: &str = "accept-empty-store";
/// The same setting by its earlier name.
const STATE_ALIAS: &str = "store";

/// The flags of a command line. Texts, so that all mistakes can be reported at once. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct ServeArgs {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Whether a store that lost something is used all the same. Meant for one start, so it is a flag and no setting.
    pub accept_empty_store: bool,
    pub(super) given: Vec<(&'static str, Given)>,
}

impl ServeArgs {
    /// What the command line says of a setting: by value, by file.
    pub(super) fn get(&self, spec: &Spec) -> Vec<Given> {
        let of_setting = |(key, _): &&(&str, Given)| *key == spec.key;
        let found = self.given.iter().filter(of_setting);
        found.map(|(_, given)| given.clone()).collect()
    }

    /// With one more flag; for programs and tests that have no command line.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        for spec in SETTINGS {
            if spec.flag == flag {
                self.push(spec, vec![value.to_owned()], false);
            } else if spec.is_secret() && spec.file_flag == flag {
                self.push(spec, vec![value.to_owned()], true);
            }
        }
        self
    }

    fn push(&mut self, spec: &'static Spec, values: Vec<String>, in_file: bool) {
        let flag = if in_file { spec.file_flag } else { spec.flag };
        let source = Source::Flag(flag);
        let known = self
            .given
            .iter_mut()
            .find(|(key, given)| *key == spec.key && given.source == source);
        match known {
            Some((_, given)) => given.values.extend(values),
            None => self.given.push((
                spec.key,
                Given {
                    values,
                    source,
                    in_file,
                },
            )),
        }
    }
}

impl fmt::Debug for ServeArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeArgs")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self {
            config: matches.get_one::<PathBuf>(CONFIG).cloned(),
            accept_empty_store: matches.get_flag(ACCEPT_EMPTY_STORE),
            given: Vec::new(),
        };
        for spec in SETTINGS {
            if let Some(values) = matches.get_many::<String>(spec.flag) {
                args.push(spec, values.cloned().collect(), false);
            }
            if spec.is_secret()
                && let Some(values) = matches.get_many::<String>(spec.file_flag)
            {
                args.push(spec, values.cloned().collect(), true);
            }
        }
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(
                "TOML file of settings; flags and environment variables override it [env: DRAWSPAN_CONFIG]",
            );
        let accept = Arg::new(ACCEPT_EMPTY_STORE)
            .long(ACCEPT_EMPTY_STORE)
            .action(ArgAction::SetTrue)
            .help(
                "Start although the state directory holds less than was stored in it, or is damaged; what is missing is given up, and files that cannot be used are kept under other names",
            );
        let command = command.arg(file).arg(accept);
        SETTINGS.iter().fold(command, |command, spec| {
            let command = command.arg(flag(spec));
            match spec.is_secret() {
                true => command.arg(file_flag(spec)),
                false => command,
            }
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(spec: &'static Spec) -> Arg {
    let mut help = spec.help.to_owned();
    if spec.is_list() {
        help.push_str(" (repeatable)");
    }
    if !spec.default.is_empty() {
        help.push_str(&format!(" [default: {}]", spec.default));
    }
    help.push_str(&format!(" [env: {}]", spec.variable()));
    let arg = Arg::new(spec.flag)
        .long(spec.flag)
        .value_name(spec.value)
        .help_heading(spec.group.title())
        .action(action(spec))
        .help(help);
    match spec.flag {
        "state" => arg.alias(STATE_ALIAS),
        _ => arg,
    }
}

fn file_flag(spec: &'static Spec) -> Arg {
    Arg::new(spec.file_flag)
        .long(spec.file_flag)
        .value_name("FILE")
        .help_heading(spec.group.title())
        .action(ArgAction::Set)
        .help(format!(
            "The same, read from a file [env: {}_FILE]",
            spec.variable()
        ))
}

/// A flag that takes one value refuses a second one.
fn action(spec: &Spec) -> ArgAction {
    match spec.is_list() {
        true => ArgAction::Append,
        false => ArgAction::Set,
    }
}
