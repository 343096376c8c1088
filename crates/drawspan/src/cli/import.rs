//! `drawspan import`: subscriptions and hubs of the bridge that Drawspan replaces.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use drawspan_settings::limits::MAX_SECRET_FILE_BYTES;
use drawspan_settings::plural::count;
use drawspan_settings::{Mistakes, whole_file};
use drawspan_store::{CachedHub, Store, StoreError, StoredScope, StoredSubscription};
use indicatif::{ProgressBar, ProgressStyle};

use super::load::bar_of;
use super::state::{State, StateArgs};
use super::{block_on, failed, misused, say};
use crate::import::{self, BadRow, Hubs, OldKeys, Subscriptions};
use crate::limits::{IMPORT_BATCH, MAX_BAD_ROWS_TOLD, MAX_IMPORT_FILE_BYTES};

pub(super) const EXAMPLES: &str = "\
Examples:
  Check first, without writing:
    drawspan import --check --subscriptions subscriptions.csv \\
      --hub-cache hubs.csv --key-file keys
  Then import, while `drawspan serve` does not run:
    drawspan import --state /var/lib/drawspan \\
      --subscriptions subscriptions.csv --hub-cache hubs.csv --key-file keys
docs/migrate.md says how to export the two tables and where the keys are.";

#[derive(Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Export of the table DeviceSubscriptions, CSV or JSON
    #[arg(long, value_name = "FILE", required_unless_present = "hub_cache")]
    subscriptions: Option<PathBuf>,
    /// Export of the table HubCache, CSV or JSON
    #[arg(long, value_name = "FILE")]
    hub_cache: Option<PathBuf>,
    /// A version of the secret iotc-encryption-key, by which callback URLs are encrypted (repeatable)
    #[arg(long = "key", value_name = "VERSION=SECRET")]
    keys: Vec<String>,
    /// File of versions of the secret, one VERSION=SECRET per line
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read and check everything, write nothing
    #[arg(long)]
    check: bool,
    /// Skip unusable rows, and import the others
    #[arg(long)]
    skip_bad: bool,
}

/// The decoded contents of the files.
struct Exports {
    subscriptions: Subscriptions,
    hubs: Hubs,
}

/// The result.
#[derive(Default)]
struct Done {
    written: usize,
    /// Newer than the export.
    kept: usize,
}

pub(super) fn run(args: &ImportArgs) -> ExitCode {
    let state = match args.check {
        true => None,
        false => match args.state.find() {
            Ok(state) => Some(state),
            Err(code) => return code,
        },
    };
    let mut mistakes = Mistakes::default();
    let exports = read(args, &mut mistakes);
    let (Some(exports), []) = (exports, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let told = say::result(exports.summary());
    if told != ExitCode::SUCCESS {
        return told;
    }
    let bad = tell_bad("subscriptions", &exports.subscriptions.bad)
        + tell_bad("hub cache", &exports.hubs.bad);
    if bad > 0 && !args.skip_bad {
        return failed("nothing was written; mend these rows, or leave them out with --skip-bad");
    }
    match &state {
        Some(state) => block_on(write(state, exports)),
        None => say::result("checked; nothing was written\n"),
    }
}

fn read(args: &ImportArgs, mistakes: &mut Mistakes) -> Option<Exports> {
    let mut keys = OldKeys::default();
    for key in &args.keys {
        mistakes.keep("--key", keys.add(key));
    }
    if let Some(path) = &args.key_file {
        let text = whole_file::read_text(path, MAX_SECRET_FILE_BYTES);
        let text = mistakes.keep("--key-file", text).unwrap_or_default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            mistakes.keep("--key-file", keys.add(line));
        }
    }
    let mut bytes = |flag: &str, path: &Option<PathBuf>| match path {
        Some(path) => mistakes.keep(flag, whole_file::read(path, MAX_IMPORT_FILE_BYTES)),
        None => Some(Vec::new()),
    };
    let subscriptions = bytes("--subscriptions", &args.subscriptions)?;
    let hubs = bytes("--hub-cache", &args.hub_cache)?;
    let subscriptions = import::subscriptions(&subscriptions, &keys);
    Some(Exports {
        subscriptions: mistakes.keep("--subscriptions", subscriptions)?,
        hubs: mistakes.keep("--hub-cache", import::hubs(&hubs))?,
    })
}

impl Exports {
    fn summary(&self) -> String {
        let (subscriptions, hubs) = (&self.subscriptions, &self.hubs);
        let mut text = format!(
            "{}, {}\n",
            count(subscriptions.good.len(), "subscription", "subscriptions"),
            count(hubs.good.len(), "hub of a device", "hubs of devices")
        );
        // Writing to a string does not fail.
        for (origin, count) in &subscriptions.origins {
            let _ = writeln!(text, "  {count:>7}  {origin}");
        }
        text
    }
}

fn tell_bad(what: &str, bad: &[BadRow]) -> usize {
    for row in bad.iter().take(MAX_BAD_ROWS_TOLD) {
        say::warning(format_args!("{what}, {row}"));
    }
    if let Some(more @ 1..) = bad.len().checked_sub(MAX_BAD_ROWS_TOLD) {
        say::warning(format_args!(
            "{what}: {}",
            count(more, "more bad row", "more bad rows")
        ));
    }
    bad.len()
}

async fn write(state: &State, exports: Exports) -> ExitCode {
    let store = match Store::open(&state.directory, &state.keyring) {
        Ok(store) => store,
        Err(error) => return failed(error),
    };
    let total = exports.subscriptions.good.len() + exports.hubs.good.len();
    // Hidden where there is no terminal.
    let bar = bar_of(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len}") {
        bar.set_style(style);
    }
    let subscriptions = write_subscriptions(&store, exports.subscriptions.good, &bar).await;
    let hubs = match &subscriptions {
        Ok(_) => write_hubs(&store, exports.hubs.good, &bar).await,
        Err(_) => Ok(Done::default()),
    };
    bar.finish_and_clear();
    match (subscriptions, hubs) {
        (Ok(subscriptions), Ok(hubs)) => say::result(format_args!(
            "written: {}, {}; kept, since they are newer here: {} and {}\n",
            count(subscriptions.written, "subscription", "subscriptions"),
            count(hubs.written, "hub of a device", "hubs of devices"),
            subscriptions.kept,
            hubs.kept
        )),
        (Err(error), _) | (_, Err(error)) => failed(format_args!(
            "not everything could be written: {error}; the same command again goes on"
        )),
    }
}

type Name = (StoredScope, SubscriptionType);

async fn write_subscriptions(
    store: &Store,
    rows: Vec<StoredSubscription>,
    bar: &ProgressBar,
) -> Result<Done, StoreError> {
    let stored = store.subscriptions();
    let there = stored.load_all()?.into_iter();
    let there: HashMap<Name, UtcTime> = there
        .map(|there| ((there.scope, there.kind), there.created_at))
        .collect();
    let mut done = Done::default();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut under_way = Vec::with_capacity(IMPORT_BATCH);
        for row in rows.by_ref().take(IMPORT_BATCH) {
            let name = (row.scope.clone(), row.kind);
            match there.get(&name) {
                Some(known) if *known > row.created_at => done.kept += 1,
                _ => under_way.push(stored.put(row)),
            }
            bar.inc(1);
        }
        for written in under_way {
            written.await?;
            done.written += 1;
        }
    }
    Ok(done)
}

async fn write_hubs(
    store: &Store,
    rows: Vec<CachedHub>,
    bar: &ProgressBar,
) -> Result<Done, StoreError> {
    let stored = store.hub_cache();
    let there = stored.load_all()?.into_iter();
    let there: HashMap<DeviceId, u64> = there
        .map(|there| (there.device, there.renewed_unix_s))
        .collect();
    let mut done = Done::default();
    for rows in rows.chunks(IMPORT_BATCH) {
        for row in rows {
            match there.get(&row.device) {
                Some(known) if *known > row.renewed_unix_s => done.kept += 1,
                _ => {
                    stored.put(row.clone());
                    done.written += 1;
                }
            }
            bar.inc(1);
        }
        // No entry is that old: it only returns when the earlier value is written.
        stored.collect(0, std::collections::HashSet::new()).await?;
    }
    match stored.lost() {
        0 => Ok(done),
        _ => Err(StoreError::Busy),
    }
}
