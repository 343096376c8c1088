//! `drawspan usage`: who used which share of the hubs' sends and daily quota today, at a running bridge.

mod table;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use drawspan_api::limits::MAX_USAGE_LIMIT;
use drawspan_gateway::Prefix;
use drawspan_settings::Mistakes;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::bridge::{Bridge, BridgeArgs};
use super::{block_on, failed, misused, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan usage
  drawspan usage --sort sends --limit 5 --url https://bridge.example:5001 \\
    --api-key-file ./key
  drawspan usage --format json | jq '.devices[0]'

Messages of today (UTC), and the blocks of 4 KB that they take of the hub's daily quota. They are counted since 00:00 UTC, or since the \
start of the bridge if that was later: a restart loses the counts. The key needs the scope read; one with a prefix sees its own devices.";

#[derive(Args)]
pub(super) struct UsageArgs {
    #[command(flatten)]
    bridge: BridgeArgs,
    /// What counts first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Maximum number of devices to show
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=MAX_USAGE_LIMIT))]
    limit: u64,
    /// Only devices whose ids begin with this
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// Blocks of 4 KB
    #[default]
    Blocks,
    /// Messages
    Sends,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table with bars for people
    #[default]
    Text,
    /// The bridge's answer
    Json,
}

pub(super) fn run(args: &UsageArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let bridge = Bridge::new(&mut mistakes, &args.bridge);
    let prefix = mistakes.keep("--prefix", Prefix::parse(&args.prefix));
    let (Some(bridge), Some(prefix), []) = (bridge, prefix, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let sort = match args.sort {
        Sort::Blocks => "blocks",
        Sort::Sends => "sends",
    };
    let prefix = utf8_percent_encode(prefix.as_str(), NON_ALPHANUMERIC);
    let path = format!("/usage?sort={sort}&limit={}&prefix={prefix}", args.limit);
    block_on(async move {
        let body = match bridge.ask(&Method::GET, &path).await {
            Ok(body) => body,
            Err(error) => return failed(error),
        };
        if args.format == Format::Json {
            return say::result(format_args!("{}\n", String::from_utf8_lossy(&body)));
        }
        match table::text(&body, args.sort) {
            Ok(text) => say::result(text),
            Err(error) => failed(format_args!("the answer is no report of use: {error}")),
        }
    })
}
