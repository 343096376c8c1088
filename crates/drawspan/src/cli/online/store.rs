//! The check of the state directory. It only reads, so that another process may use the directory.

use std::time::Duration;

use drawspan_settings::Config;
use drawspan_settings::plural::count;
use drawspan_store::manage::{KeyList, ManageError, list_keys};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Line, Seen};
use crate::limits::PROBE_TIMEOUT_MS;

pub(super) async fn look(config: &Config) -> Line {
    let Some(directory) = config.state.clone() else {
        let text = "no state directory: subscriptions are lost when the process ends (--state)";
        return line(Seen::Skipped(text.to_owned()));
    };
    let keyring = match &config.keyring {
        Some(keyring) => keyring.clone(),
        None => drawspan_store::default_keyring(&directory),
    };
    let shown = directory.display().to_string();
    let reading = spawn_blocking(move || match directory.exists() {
        false => Ok(None),
        true => list_keys(&directory, &keyring).map(Some),
    });
    let limit = Duration::from_millis(PROBE_TIMEOUT_MS);
    line(match timeout(limit, reading).await {
        Ok(Ok(read)) => judge(&shown, read),
        Ok(Err(error)) => Seen::failed(error, "Look at the log, and try again."),
        Err(_) => Seen::failed(
            format_args!("{shown} was not read within {} s", limit.as_secs()),
            "Look at the disk: it is very busy, or a network file system does not answer.",
        ),
    })
}

fn line(seen: Seen) -> Line {
    Line {
        what: "store",
        seen,
    }
}

fn judge(directory: &str, read: Result<Option<KeyList>, ManageError>) -> Seen {
    match read {
        Ok(None) => Seen::Ok(format!("{directory} is not there yet: serve makes it")),
        Err(ManageError::NoStore { .. }) => Seen::Ok(format!(
            "{directory} is empty yet: serve makes what it needs"
        )),
        Ok(Some(list)) => {
            let missing = list
                .keys
                .iter()
                .filter(|key| key.rows > 0 && (key.created_at.is_none() || key.is_other));
            let values: u64 = missing.map(|key| key.rows).sum();
            match values {
                0 => Seen::Ok(format!(
                    "{directory} can be read, with {}",
                    count(list.keys.len(), "key", "keys")
                )),
                values => Seen::failed(
                    format_args!(
                        "{directory}: the key ring lacks keys that {} need",
                        count(values, "stored value", "stored values")
                    ),
                    "Name the right key ring with --keyring; `drawspan keys list` shows which keys are needed.",
                ),
            }
        }
        Err(error @ ManageError::Older { .. }) => Seen::Ok(format!("{error}")),
        Err(error) => Seen::failed(
            error,
            "serve would not start with it: see docs/operate.md, Keys and backups.",
        ),
    }
}
