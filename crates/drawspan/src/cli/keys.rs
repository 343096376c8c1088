//! `drawspan keys`: the keys that encrypt the store.

mod unreadable;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use drawspan_settings::plural::count;
use drawspan_store::manage::{self, KeyList, Pruned, Rotated};

use super::state::{State, StateArgs, bar, numbers};
use super::{failed, say};
pub(super) use unreadable::way_out;

const EXAMPLES: &str = "\
Examples:
  drawspan keys list --state /var/lib/drawspan
  drawspan keys rotate --state /var/lib/drawspan
  drawspan keys rotate --state /var/lib/drawspan \\
    --keyring /etc/drawspan/keyring --prune
  drawspan keys prune --state /var/lib/drawspan

These commands work with and without a running serve. Rotation creates a new key; a running
serve picks it up within seconds and re-encrypts everything in the background. Old keys stay
until they are pruned, since earlier backups need them.";

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List the keys, mark the current one, and count the stored values that need each
    #[command(after_help = EXAMPLES)]
    List(StateArgs),
    /// Make a new key, and encrypt every stored value with it; no downtime
    #[command(after_help = EXAMPLES)]
    Rotate(RotateArgs),
    /// Remove unused keys
    #[command(after_help = EXAMPLES)]
    Prune(StateArgs),
    /// List stored values that no key decrypts, which prevent serve from starting, and remove them on request
    #[command(after_help = unreadable::EXAMPLES)]
    Unreadable(unreadable::UnreadableArgs),
}

/// Flags of `keys rotate`.
#[derive(Args, Clone)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Then remove unused keys
    #[arg(long)]
    prune: bool,
}

pub(super) fn run(command: &KeysCommand) -> ExitCode {
    match command {
        KeysCommand::List(args) => with(args, list),
        KeysCommand::Rotate(args) => with(&args.state, |state| rotate(state, args.prune)),
        KeysCommand::Prune(args) => with(args, prune),
        KeysCommand::Unreadable(args) => unreadable::run(args),
    }
}

fn with(args: &StateArgs, run: impl FnOnce(&State) -> ExitCode) -> ExitCode {
    match args.find() {
        Ok(state) => run(&state),
        Err(code) => code,
    }
}

fn list(state: &State) -> ExitCode {
    let keys = match manage::list_keys(&state.directory, &state.keyring) {
        Ok(keys) => keys,
        Err(error) => return failed(error),
    };
    let printed = say::result(table(&keys));
    let missing = keys.missing();
    if missing.is_empty() || printed != ExitCode::SUCCESS {
        return printed;
    }
    failed(format_args!(
        "stored values need keys that are not in {}: {}; serve will not start without them. {}",
        state.keyring.display(),
        numbers(&missing),
        way_out(state)
    ))
}

fn table(list: &KeyList) -> String {
    let mut text = format!("{:>4}  {:<20}  {:>10}\n", "key", "made", "values");
    for key in &list.keys {
        let made = key.created_at.map_or_else(
            || "missing".to_owned(),
            |at| at.to_string().chars().take(19).chain(['Z']).collect(),
        );
        let note = match (key.is_current, key.is_other) {
            (_, true) => "  another key than the one that is needed",
            (true, false) => "  current",
            (false, false) => "",
        };
        let _ = writeln!(
            text,
            "{:>4}  {made:<20}  {:>10}{note}",
            key.version, key.rows
        );
    }
    text
}

fn rotate(state: &State, then_prune: bool) -> ExitCode {
    match manage::rotate_keys(&state.directory, &state.keyring, &mut bar("values")) {
        Ok(rotated) => {
            let told = say::result(told(&rotated, state));
            match then_prune && rotated.left == 0 && told == ExitCode::SUCCESS {
                true => prune(state),
                false if rotated.left > 0 && !rotated.beside => ExitCode::FAILURE,
                false => told,
            }
        }
        Err(error) => failed(error),
    }
}

fn told(rotated: &Rotated, state: &State) -> String {
    let Rotated {
        version,
        left,
        beside,
    } = *rotated;
    let keyring = state.keyring.display();
    let mut text = format!("key {version} is current; keep a copy of {keyring}\n");
    text += &match (left, beside) {
        (0, _) => "every stored value is encrypted with it\n".to_owned(),
        (left, true) => format!(
            "{} not encrypted with it yet: the running serve goes on with that; `drawspan keys list` shows how far it is\n",
            count(left, "stored value is", "stored values are")
        ),
        (left, false) => format!(
            "{} cannot be decrypted, and kept as they are\n",
            count(left, "stored value", "stored values")
        ),
    };
    text
}

fn prune(state: &State) -> ExitCode {
    match manage::prune_keys(&state.directory, &state.keyring, &mut bar("values")) {
        Ok(pruned) => say::result(what_went(&pruned)),
        Err(error) => failed(error),
    }
}

fn what_went(pruned: &Pruned) -> String {
    let mut text = match pruned.removed.as_slice() {
        [] => "no key was removed\n".to_owned(),
        keys => format!(
            "removed: {}; backups from before need the key ring of then\n",
            numbers(keys)
        ),
    };
    for (key, rows) in &pruned.needed {
        let values = count(*rows, "stored value needs", "stored values need");
        let _ = writeln!(text, "key {key} stays: {values} it");
    }
    let _ = writeln!(text, "left: {}", numbers(&pruned.left));
    text
}

#[cfg(test)]
mod tests {
    use drawspan_hub::UtcTime;
    use drawspan_store::manage::KeyRow;

    use super::*;

    #[test]
    fn the_table_says_what_is_wrong() {
        let row = |version, rows, created_at| KeyRow {
            version,
            created_at,
            is_current: version == 3,
            is_other: version == 2,
            rows,
        };
        let at = Some(UtcTime::from_unix_ms(1_800_000_000_123));
        let list = KeyList {
            keys: vec![row(1, 7, None), row(2, 1, at), row(3, 200_000, at)],
        };
        let expected = "
 key  made                      values
   1  missing                        7
   2  2027-01-15T08:00:00Z           1  another key than the one that is needed
   3  2027-01-15T08:00:00Z      200000  current
";
        assert_eq!(format!("\n{}", table(&list)), expected);
        assert_eq!(list.missing(), [1, 2]);
    }

    #[test]
    fn pruning_says_what_went_and_what_stays() {
        let pruned = Pruned {
            removed: vec![1, 3],
            needed: vec![(2, 1)],
            left: vec![2, 4],
        };
        assert_eq!(
            what_went(&pruned),
            "removed: 1, 3; backups from before need the key ring of then\nkey 2 stays: 1 stored value needs it\nleft: 2, 4\n"
        );
    }
}
