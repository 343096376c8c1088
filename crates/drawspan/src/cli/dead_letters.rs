//! `drawspan dead-letters`: undelivered events of a running bridge.

mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use drawspan_api::limits::MAX_DEAD_LETTER_LIMIT;
use drawspan_hub::{DeviceId, SubscriptionType};
use drawspan_settings::Mistakes;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::sleep;

use super::bridge::{Bridge, BridgeArgs, NotDone};
use super::load::bar_of;
use super::{block_on, failed, misused, say};
use crate::limits::DEAD_LETTER_TRIES;
use table::{Letter, Page};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan dead-letters list --url https://bridge.example:5001 \\
    --api-key-file ./key
  drawspan dead-letters list --device sensor-1 --json
  drawspan dead-letters replay 17 18
  drawspan dead-letters replay --all --type C2DMessages
  drawspan dead-letters discard 17

The key needs the scope read for list, manage for the others. The exit code is 1 if a dead letter could not be sent again or removed.";

#[derive(Subcommand)]
pub(super) enum DeadLettersCommand {
    /// List dead letters, oldest first
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// Send dead letters again, to the current receiver of such events; each is removed when its receiver accepts it
    #[command(after_help = EXAMPLES)]
    Replay(ChosenArgs),
    /// Remove dead letters
    #[command(after_help = EXAMPLES)]
    Discard(ChosenArgs),
}

#[derive(Args)]
struct WhichArgs {
    /// Only dead letters of this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only dead letters of this kind: DesiredProperties, C2DMessages or ConnectionStatus
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    bridge: BridgeArgs,
    #[command(flatten)]
    which: WhichArgs,
    /// Maximum number to show
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Only dead letters with higher numbers
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Print one JSON object per line, with the events
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ChosenArgs {
    #[command(flatten)]
    bridge: BridgeArgs,
    #[command(flatten)]
    which: WhichArgs,
    /// Numbers, from list
    #[arg(value_name = "NUMBER", required_unless_present = "all")]
    numbers: Vec<u64>,
    /// All dead letters that match --device and --type
    #[arg(long, conflicts_with = "numbers")]
    all: bool,
}

pub(super) fn run(command: &DeadLettersCommand) -> ExitCode {
    match command {
        DeadLettersCommand::List(args) => {
            with(&args.bridge, &args.which, async |bridge, filter| {
                list(bridge, filter, args).await
            })
        }
        DeadLettersCommand::Replay(args) => {
            with(&args.bridge, &args.which, async |bridge, filter| {
                each(bridge, filter, args, Method::POST, "/replay").await
            })
        }
        DeadLettersCommand::Discard(args) => {
            with(&args.bridge, &args.which, async |bridge, filter| {
                each(bridge, filter, args, Method::DELETE, "").await
            })
        }
    }
}

/// Checks what is common, and goes on with the bridge and the conditions of the query.
fn with(
    args: &BridgeArgs,
    which: &WhichArgs,
    work: impl AsyncFnOnce(Bridge, String) -> ExitCode,
) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let bridge = Bridge::new(&mut mistakes, args);
    let filter = which.filter(&mut mistakes);
    match (bridge, mistakes.lines()) {
        (Some(bridge), []) => block_on(work(bridge, filter)),
        _ => misused(&mistakes),
    }
}

impl WhichArgs {
    fn filter(&self, mistakes: &mut Mistakes) -> String {
        let mut filter = String::new();
        if let Some(id) = &self.device
            && let Some(id) = mistakes.keep("--device", DeviceId::parse(id))
        {
            let id = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
            filter.push_str(&format!("&deviceId={id}"));
        }
        if let Some(word) = &self.kind {
            match SubscriptionType::parse(word) {
                Some(kind) => filter.push_str(&format!("&subscriptionType={kind}")),
                None => {
                    let known = SubscriptionType::ALL
                        .map(SubscriptionType::as_str)
                        .join(", ");
                    mistakes.add("--type", format!("must be one of {known}"));
                }
            }
        }
        filter
    }
}

async fn list(bridge: Bridge, filter: String, args: &ListArgs) -> ExitCode {
    let (mut left, mut after) = (args.limit, args.after);
    let mut letters: Vec<Letter> = Vec::new();
    let more = loop {
        let limit = left.min(usize::try_from(MAX_DEAD_LETTER_LIMIT).unwrap_or(left));
        if limit == 0 {
            break after;
        }
        let page = match page(&bridge, &filter, limit, after).await {
            Ok(page) => page,
            Err(error) => return failed(error),
        };
        left -= page.letters.len().min(left);
        after = page.last();
        let is_last = page.continuation.is_none();
        match args.json {
            // Not gathered: events may be large.
            true => {
                if let Err(error) = page
                    .lines()
                    .try_for_each(|line| say::out(format_args!("{line}\n")))
                {
                    return match say::is_enough(&error) {
                        true => ExitCode::SUCCESS,
                        false => failed(format_args!("cannot print: {error}")),
                    };
                }
            }
            false => letters.extend(page.letters),
        }
        if is_last {
            break None;
        }
    };
    let shown = match (args.json, letters.is_empty()) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => {
            say::aside("there are no dead letters");
            ExitCode::SUCCESS
        }
        (false, false) => say::result(table::text(&letters)),
    };
    if let Some(after) = more {
        say::aside(format_args!("there are more; go on with --after {after}"));
    }
    shown
}

async fn page(
    bridge: &Bridge,
    filter: &str,
    limit: usize,
    after: Option<u64>,
) -> Result<Page, NotDone> {
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    let path = format!("/deadLetters?limit={limit}{after}{filter}");
    let body = bridge.ask(&Method::GET, &path).await?;
    Page::read(&body)
}

/// Asks the same of each chosen one.
async fn each(
    bridge: Bridge,
    filter: String,
    args: &ChosenArgs,
    method: Method,
    what: &str,
) -> ExitCode {
    let numbers = match args.all {
        false => args.numbers.clone(),
        // All are named first: some that are sent again may fail again meanwhile.
        true => match numbers(&bridge, &filter).await {
            Ok(numbers) => numbers,
            Err(error) => return failed(error),
        },
    };
    let bar = bar_of(numbers.len() as u64);
    let mut wrong = 0;
    for number in &numbers {
        let path = format!("/deadLetters/{number}{what}");
        match patiently(&bridge, &method, &path).await {
            Ok(()) => {}
            Err(NotDone::NoBridge(why)) => {
                bar.finish_and_clear();
                return failed(why);
            }
            // Among all, one that went meanwhile is no matter.
            Err(NotDone::Gone(_)) if args.all => {}
            Err(error) => {
                wrong += 1;
                bar.suspend(|| say::warning(format_args!("{number}: {error}")));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let done = match method {
        Method::DELETE => "removed",
        _ => "being sent again",
    };
    let count = numbers.len() - wrong;
    match wrong {
        0 => say::result(format_args!("{count} {done}\n")),
        _ => failed(format_args!("{count} {done}, {wrong} not")),
    }
}

async fn numbers(bridge: &Bridge, filter: &str) -> Result<Vec<u64>, NotDone> {
    let most = usize::try_from(MAX_DEAD_LETTER_LIMIT).unwrap_or(1);
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = page(bridge, filter, most, after).await?;
        numbers.extend(page.letters.iter().map(|letter| letter.id));
        after = page.last();
        if page.continuation.is_none() {
            return Ok(numbers);
        }
    }
}

/// The bridge may have too much to do: it says when to come again.
async fn patiently(bridge: &Bridge, method: &Method, path: &str) -> Result<(), NotDone> {
    let mut tries = 0;
    loop {
        match bridge.ask(method, path).await {
            Err(NotDone::Later { seconds, .. }) if tries < DEAD_LETTER_TRIES => {
                tries += 1;
                sleep(Duration::from_secs(seconds)).await;
            }
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
