//! `drawspan watch`: changes of devices' connections at a running bridge, as they happen.

mod events;
mod line;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use drawspan_gateway::Prefix;
use drawspan_settings::Mistakes;
use http::header::{HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::{sleep, timeout};

use super::bridge::{Bridge, BridgeArgs, NotDone};
use super::{block_on, failed, misused, say, signals, term};
use crate::limits::{WATCH_PAUSE_MAX_S, WATCH_SILENCE_S};
use events::{Event, Events};
pub(super) use line::Change;
use line::Missed;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan watch
  drawspan watch --prefix line-1- --url https://bridge.example:5001 \\
    --api-key-file ./key
  drawspan watch --format json | jq 'select(.cause == \"other-client\")'

One line for each change: time, device, status, cause, who caused it by what, and how long the session lasted that ended by it. The \
causes and what to do about each: docs/operate.md. The key needs the scope read, and --prefix if it is for some devices only.

A connection that breaks is made again, and goes on where it was; what is missing is said. Ctrl-C ends it.";

/// The header in which a listener says how far it has come.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    bridge: BridgeArgs,
    /// Only devices whose ids begin with this
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// How changes are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Stop after this many changes
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Why it goes on with another connection, or not.
enum End {
    /// It has printed what was asked for, or its reader or its user has seen enough.
    Done,
    /// The connection is over.
    Over(String),
    /// It is not to be tried again.
    Failed(String),
}

pub(super) fn run(args: &WatchArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let bridge = Bridge::new(&mut mistakes, &args.bridge);
    let prefix = mistakes.keep("--prefix", Prefix::parse(&args.prefix));
    let (Some(bridge), Some(prefix), []) = (bridge, prefix, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let mut watch = Watch {
        bridge,
        path: format!(
            "/connectionStatus/stream?prefix={}",
            utf8_percent_encode(prefix.as_str(), NON_ALPHANUMERIC)
        ),
        format: args.format,
        colour: term::colour_wanted(std::io::stdout().is_terminal()),
        left: args.count,
        last_id: None,
        retry: Duration::from_secs(1),
    };
    block_on(async move {
        let mut endings = signals::Endings::new();
        tokio::select! {
            code = watch.run() => code,
            () = endings.next() => ExitCode::SUCCESS,
        }
    })
}

struct Watch {
    bridge: Bridge,
    path: String,
    format: Format,
    colour: bool,
    /// Changes to print still.
    left: Option<u64>,
    /// Where to go on.
    last_id: Option<String>,
    /// The pause before the next connection that the bridge asks for.
    retry: Duration,
}

impl Watch {
    async fn run(&mut self) -> ExitCode {
        let mut failures = 0;
        let mut was_there = false;
        loop {
            let pause = match self.connect().await {
                Ok(End::Done) => return ExitCode::SUCCESS,
                Ok(End::Failed(why)) => return failed(why),
                Ok(End::Over(why)) => {
                    (failures, was_there) = (0, true);
                    say::aside(format_args!("{why}; connecting again"));
                    self.retry
                }
                Err(NotDone::Later { seconds, detail }) => {
                    say::aside(format_args!("{detail} Trying again in {seconds} s"));
                    Duration::from_secs(seconds)
                }
                // A bridge that restarts is waited for, one that never was there is not.
                Err(NotDone::NoBridge(why)) if was_there => {
                    if failures == 0 {
                        say::aside(format_args!("{why}; trying again"));
                    }
                    failures += 1;
                    let grown = self.retry * 2_u32.pow(failures.min(5));
                    grown.min(Duration::from_secs(WATCH_PAUSE_MAX_S))
                }
                Err(error) => return failed(error),
            };
            sleep(pause).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn connect(&mut self) -> Result<End, NotDone> {
        let last = self.last_id.as_deref();
        let last = last.and_then(|id| HeaderValue::from_str(id).ok());
        let headers: Vec<_> = last.map(|id| (LAST_EVENT_ID, id)).into_iter().collect();
        let mut stream = self.bridge.follow(&self.path, &headers).await?;
        if self.last_id.is_none() {
            let place = self.bridge.place();
            say::aside(format_args!("watching {place}; Ctrl-C ends it"));
        }
        let mut events = Events::default();
        let silence = Duration::from_secs(WATCH_SILENCE_S);
        loop {
            // The bridge says something every 15 s.
            let bytes = match timeout(silence, stream.next()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return Ok(End::Over("the bridge ended the stream".into())),
                Ok(Err(error)) => return Ok(End::Over(format!("the stream broke: {error}"))),
                Err(_) => return Ok(End::Over(format!("nothing came for {WATCH_SILENCE_S} s"))),
            };
            let Some(read) = events.read(&bytes) else {
                return Ok(End::Failed("what came is no stream of events".into()));
            };
            for event in read {
                if let Some(end) = self.show(&event) {
                    return Ok(end);
                }
            }
            self.last_id = events.last_id.clone().or_else(|| self.last_id.take());
            self.retry = events.retry.unwrap_or(self.retry);
        }
    }

    /// Prints an event.
    fn show(&mut self, event: &Event) -> Option<End> {
        let is_change = event.name == "connectionStatus";
        if !is_change && event.name != "missed" {
            // Of a newer bridge.
            return None;
        }
        let shown = match (self.format, is_change) {
            (Format::Json, _) => say::out(format_args!("{}\n", event.data)),
            (Format::Text, true) => match serde_json::from_str::<Change>(&event.data) {
                Ok(change) => say::out(format_args!("{}\n", change.line(self.colour))),
                Err(error) => {
                    return Some(End::Failed(format!("an event makes no sense: {error}")));
                }
            },
            (Format::Text, false) => {
                if let Ok(missed) = serde_json::from_str::<Missed>(&event.data) {
                    say::warning(missed);
                }
                Ok(())
            }
        };
        match shown {
            Ok(()) => {}
            Err(error) if say::is_enough(&error) => return Some(End::Done),
            Err(error) => return Some(End::Failed(format!("cannot print: {error}"))),
        }
        let left = self.left.as_mut().filter(|_| is_change)?;
        *left = left.saturating_sub(1);
        (*left == 0).then_some(End::Done)
    }
}

#[cfg(test)]
mod tests;
