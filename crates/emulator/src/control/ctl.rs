//! `drawspan emulator ctl`: the control API as a command.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::client::{NoTarget, NotDone, Target};
use super::verb::{Call, Verb};
use super::verbs::VERBS;

/// Flags of the command, and the words.
#[derive(Args, Clone, Debug)]
#[command(after_help = examples())]
pub(crate) struct CtlArgs {
    /// State directory of a running emulator, which says where it is
    #[arg(long, value_name = "DIR", required_unless_present = "url")]
    state: Option<PathBuf>,
    /// Address of a running emulator: https://HOST[:PORT]
    #[arg(long, value_name = "URL", conflicts_with = "state", requires = "ca")]
    url: Option<String>,
    /// Its certificate authority, as `ca.pem` has it
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// Key of its policy iothubowner, or that policy's connection string; not needed on the same machine
    #[arg(
        long,
        value_name = "KEY",
        requires = "url",
        env = "DRAWSPAN_POLICY_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
    /// How answers are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What to do; see below
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The answer of the control API
    Json,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The words or flags are wrong: a mistake in the command line.
    #[error("{0}")]
    Usage(String),
    /// The emulator is not there, or does not do it.
    #[error(transparent)]
    NotDone(#[from] NotDone),
    /// Its answer is not what is expected.
    #[error("the answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Runs the command. Returns the text to print.
pub(crate) async fn run(args: &CtlArgs) -> Result<String, CtlError> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let call = parse(&words).map_err(CtlError::Usage)?;
    let target = match (&args.state, &args.url, &args.ca) {
        (_, Some(url), Some(ca)) => Target::of_url(url, ca, args.key.as_deref()),
        (Some(state), ..) => Target::of_state(state),
        _ => Err(NoTarget::Flag("give --state, or --url and --ca".into())),
    };
    let target = target.map_err(|error| match error {
        NoTarget::Flag(text) => CtlError::Usage(text),
        NoTarget::NotRunning(text) => CtlError::NotDone(NotDone::NoEmulator(text)),
    })?;
    let answer = target.send(&call).await?;
    let mut text = match args.format {
        Format::Json => String::from_utf8_lossy(&answer).into_owned(),
        Format::Text => (call.text)(&answer)?,
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The request that the words mean.
pub(super) fn parse(words: &[&str]) -> Result<Call, String> {
    let (name, rest) = words.split_first().unwrap_or((&"", &[]));
    let Some(verb) = VERBS.iter().find(|verb| verb.name == *name) else {
        let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
        return Err(format!(
            "`{name}` is no verb; there are: {}",
            names.join(", ")
        ));
    };
    (verb.parse)(rest).map_err(|error| format!("{name}: {error}\n{}", forms(verb).trim_end()))
}

/// The forms of a verb.
fn forms(verb: &Verb) -> String {
    verb.usages
        .iter()
        .fold(String::new(), |mut text, (form, about)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {form}\n      {about}");
            text
        })
}

/// What stands below the flags in the help.
fn examples() -> String {
    let mut text = String::from("Words:\n");
    for verb in VERBS {
        text.push_str(&forms(verb));
    }
    text.push_str(
        "\
Examples:
  A device of an emulator that runs with --state ./emulator may not connect:
    drawspan emulator ctl --state ./emulator disable sensor-1
    drawspan emulator ctl --state ./emulator enable sensor-1

  The same by address, from another machine; KEY is the connection string of
  iothubowner that the emulator prints:
    drawspan emulator ctl --url https://hub.test --ca ca.pem --key KEY \\
      disable sensor-1

The exit code is 0 when it is done, 1 when the emulator is not there or refuses, 64
when the words are not understood.",
    );
    text
}

impl CtlError {
    /// Whether it is a mistake in the command line.
    pub(crate) const fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}
