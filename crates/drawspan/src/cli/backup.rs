//! `drawspan backup` and `drawspan restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use drawspan_hub::UtcTime;
use drawspan_settings::plural::count;
use drawspan_store::manage::{self, BackedUp, Backup, Restore, Restored, keyring_beside};

use super::state::{State, StateArgs, bar, numbers};
use super::{failed, say};

pub(super) const BACKUP_EXAMPLES: &str = "\
Examples:
  drawspan backup --state /var/lib/drawspan --to /backup/
  drawspan backup --state /var/lib/drawspan --to /backup/drawspan.db --force
  drawspan backup --state /var/lib/drawspan --to /backup/ --with-keyring

A backup is a consistent snapshot, even while serve runs. It does not contain the key ring,
without which it cannot be decrypted; keep a copy of the key ring elsewhere. --with-keyring
copies it to a file next to the backup.";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  drawspan restore --state /var/lib/drawspan --from /backup/drawspan.db
  drawspan restore --state /var/lib/drawspan --from /backup/a.db --force
  drawspan restore --state ./new --keyring /etc/drawspan/keyring \\
    --from /backup/drawspan.db

serve must not run. The store is replaced only after the backup was checked, down to
decrypting every subscription; a store that --force replaces is kept next to the new one.
The keys are those of the key ring, or of FILE.keyring next to the backup.";

/// Flags of `backup`.
#[derive(Args, Clone)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    state: StateArgs,
    /// File to create; in a directory, a file named by the current time
    #[arg(long, value_name = "FILE|DIR")]
    to: PathBuf,
    /// Copy the key ring, too, to FILE.keyring
    #[arg(long)]
    with_keyring: bool,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// Flags of `restore`.
#[derive(Args, Clone)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Backup to restore
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Replace an existing store, which is kept next to the new one
    #[arg(long)]
    force: bool,
}

pub(super) fn backup(args: &BackupArgs) -> ExitCode {
    let state = match args.state.find() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let to = match is_folder(&args.to) {
        true => args.to.join(name(now())),
        false => args.to.clone(),
    };
    let what = Backup {
        directory: &state.directory,
        to: &to,
        keyring: args.with_keyring.then_some(state.keyring.as_path()),
        force: args.force,
    };
    match manage::backup(&what, &mut bar("pages")) {
        Ok(done) => say::result(backed_up(&done, &what)),
        Err(error) => failed(error),
    }
}

fn backed_up(done: &BackedUp, what: &Backup<'_>) -> String {
    let mut text = format!(
        "{}: {}, {}\n",
        what.to.display(),
        count(done.subscriptions, "subscription", "subscriptions"),
        count(done.bytes, "byte", "bytes")
    );
    text += &match (what.keyring, done.keys.as_slice()) {
        (Some(_), _) => format!(
            "{}: the key ring; keep the two apart\n",
            keyring_beside(what.to).display()
        ),
        (None, []) => String::new(),
        (None, keys) => format!(
            "the key ring is not in it: keep a copy, with key {}\n",
            numbers(keys)
        ),
    };
    let state = what.directory.display();
    text += &format!(
        "drawspan restore --state '{state}' --from '{}'\n",
        what.to.display()
    );
    text
}

pub(super) fn restore(args: &RestoreArgs) -> ExitCode {
    let state = match args.state.find() {
        Ok(state) => state,
        Err(code) => return code,
    };
    let what = Restore {
        from: &args.from,
        directory: &state.directory,
        keyring: &state.keyring,
        force: args.force,
    };
    match manage::restore(&what, &mut bar("pages")) {
        Ok(done) => say::result(restored(&done, &state)),
        Err(error) => failed(error),
    }
}

fn restored(done: &Restored, state: &State) -> String {
    let mut text = format!(
        "{}: {}, {}, {}\n",
        state.directory.display(),
        count(done.subscriptions, "subscription", "subscriptions"),
        count(done.dead_letters, "dead letter", "dead letters"),
        count(done.hubs, "hub of a device", "hubs of devices"),
    );
    if done.with_keys {
        text += &format!("{}: with the backup's keys\n", state.keyring.display());
    }
    for kept in &done.kept {
        text += &format!("kept: {}; delete it when all is well\n", kept.display());
    }
    text
}

fn is_folder(path: &Path) -> bool {
    let text = path.to_string_lossy();
    path.is_dir() || text.ends_with(std::path::MAIN_SEPARATOR)
}

fn now() -> UtcTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    UtcTime::from_unix_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// The default file name of a backup. Names sort by time.
fn name(now: UtcTime) -> String {
    let digits = now.to_string();
    let digits = digits.split('.').next().unwrap_or_default();
    let time: String = digits.chars().filter(|it| !"-:".contains(*it)).collect();
    format!("drawspan-{time}Z.db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_time() {
        let at = UtcTime::from_unix_ms(1_800_000_000_123);
        assert_eq!(name(at), "drawspan-20270115T080000Z.db");
    }
}
