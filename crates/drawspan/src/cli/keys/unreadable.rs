//! `drawspan keys unreadable`: recovery after a key is permanently lost.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use drawspan_settings::plural::count;
use drawspan_store::StoredScope;
use drawspan_store::manage::{self, RemovedUnreadable, Unreadable, UnreadableSubscription};

use super::super::state::{State, StateArgs};
use super::super::{failed, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan keys unreadable --state /var/lib/drawspan
  drawspan keys unreadable --state /var/lib/drawspan \\
    --keyring /etc/drawspan/keyring
  drawspan backup --state /var/lib/drawspan --to /backup/
  drawspan keys unreadable --state /var/lib/drawspan --remove

The command lists the subscriptions, and counts the dead letters, that no key of the key ring
decrypts: the key is missing, or the row was changed. First look for a copy of the key ring, or a
backup. Without either, --remove removes exactly these, in one step; serve must not run. Then serve
starts again with the remaining data, and callers create lost subscriptions again. Make a backup
first: if the key turns up, `drawspan restore` brings everything back.
The exit code is 1 while there are unreadable values.";

/// Flags of `keys unreadable`.
#[derive(Args, Clone)]
pub(in super::super) struct UnreadableArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Permanently remove the listed values
    #[arg(long)]
    remove: bool,
}

pub(super) fn run(args: &UnreadableArgs) -> ExitCode {
    super::with(&args.state, |state| match args.remove {
        true => remove(state),
        false => list(state),
    })
}

/// Advice at the end of an error that prevents the start.
pub(in super::super) fn way_out(state: &State) -> String {
    format!(
        "Without a copy or a backup: `{}` shows what is lost, and removes it on request",
        command(state)
    )
}

fn command(state: &State) -> String {
    format!(
        "drawspan keys unreadable --state '{}' --keyring '{}'",
        state.directory.display(),
        state.keyring.display()
    )
}

fn list(state: &State) -> ExitCode {
    let found = match manage::list_unreadable(&state.directory, &state.keyring) {
        Ok(found) => found,
        Err(error) => return failed(error),
    };
    if found.is_empty() {
        return say::result("everything can be read\n");
    }
    let told = say::result(table(&found.subscriptions));
    if told != ExitCode::SUCCESS {
        return told;
    }
    failed(format_args!(
        "{} cannot be read with the key ring {}; put back a copy of it, or a backup. Without either, remove them with `{} --remove`",
        counts(&found),
        state.keyring.display(),
        command(state)
    ))
}

fn remove(state: &State) -> ExitCode {
    match manage::remove_unreadable(&state.directory, &state.keyring) {
        Ok(removed) if removed.rows.is_empty() => {
            say::result("everything can be read; nothing was removed\n")
        }
        Ok(removed) => say::result(what_went(&removed, state)),
        Err(error) => failed(error),
    }
}

fn what_went(removed: &RemovedUnreadable, state: &State) -> String {
    let mut text = table(&removed.rows.subscriptions);
    let _ = writeln!(text, "removed: {}", counts(&removed.rows));
    if let Some(key) = removed.new_key {
        let keyring = state.keyring.display();
        let _ = writeln!(text, "key {key} is current; keep a copy of {keyring}");
    }
    if !removed.rows.subscriptions.is_empty() {
        text += "To subscribe again, a caller sends the same PUT as the first time, with {\"callbackUrl\": …}:\n\
            /devices/{id}/methods/sub, …/deviceBound/sub, …/twin/properties/desired/sub, …/connectionStatus/sub,\n\
            or /subscriptions/{type}?prefix=. What was imported can be imported again.\n";
    }
    text
}

/// One line per subscription, so that its owner can be informed.
fn table(subscriptions: &[UnreadableSubscription]) -> String {
    let mut text = String::new();
    for UnreadableSubscription { scope, kind, why } in subscriptions {
        let (whose, name) = match scope {
            StoredScope::Device(name) => ("device", name),
            StoredScope::Fleet(name) => ("prefix", name),
        };
        let kind = kind.map_or("?", |kind| kind.as_str());
        // A name that somebody put into the file may hold anything.
        let _ = writeln!(text, "{whose} {name:?}  {kind}  {why}");
    }
    text
}

fn counts(found: &Unreadable) -> String {
    let subscriptions = found.subscriptions.len() as u64;
    format!(
        "{}, {}",
        count(subscriptions, "subscription", "subscriptions"),
        count(found.dead_letters, "dead letter", "dead letters")
    )
}

#[cfg(test)]
mod tests {
    use drawspan_hub::SubscriptionType;

    use super::*;

    #[test]
    fn what_went_says_whose_it_was_and_what_to_do() {
        let lost = |scope, kind| UnreadableSubscription {
            scope,
            kind,
            why: "the key ring has no key 1".into(),
        };
        let methods = Some(SubscriptionType::Methods);
        let mut removed = RemovedUnreadable {
            rows: Unreadable {
                subscriptions: vec![
                    lost(StoredScope::Device("s-1".into()), methods),
                    lost(StoredScope::Fleet("line\n".into()), None),
                ],
                dead_letters: 1,
            },
            new_key: Some(2),
        };
        let state = State {
            directory: "s".into(),
            keyring: "s/keyring".into(),
        };
        let text = what_went(&removed, &state);
        let expected = "device \"s-1\"  Methods  the key ring has no key 1\n\
            prefix \"line\\n\"  ?  the key ring has no key 1\n\
            removed: 2 subscriptions, 1 dead letter\n\
            key 2 is current; keep a copy of s/keyring\n\
            To subscribe again,";
        assert!(text.starts_with(expected), "{text}");
        removed.rows.subscriptions.clear();
        removed.new_key = None;
        let text = what_went(&removed, &state);
        assert_eq!(text, "removed: 0 subscriptions, 1 dead letter\n");
    }
}
