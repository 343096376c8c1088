//! The settings as flags.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use drawspan_settings::ServeArgs;
use drawspan_settings::settings::{SETTINGS, Spec};

const CONFIG: &str = "config";
const ACCEPT_EMPTY_STORE: &str = "accept-empty-store";
/// The same setting by its earlier name.
const STATE_ALIAS: &str = "store";

/// The flags of `serve`, made from the table of settings.
#[derive(Debug, Clone)]
pub(in crate::cli) struct ServeFlags(pub(in crate::cli) ServeArgs);

impl FromArgMatches for ServeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = ServeArgs::default();
        args.config = matches.get_one::<PathBuf>(CONFIG).cloned();
        args.accept_empty_store = matches.get_flag(ACCEPT_EMPTY_STORE);
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
        Ok(Self(args))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ServeFlags {
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
                "Start although the state directory is damaged or has lost data; the lost data is given up, and unusable files are kept under other names",
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

/// How often a flag may be given: once, unless it is a list.
fn action(spec: &Spec) -> ArgAction {
    match spec.is_list() {
        true => ArgAction::Append,
        false => ArgAction::Set,
    }
}
