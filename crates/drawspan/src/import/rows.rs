//! Conversion of rows to stored values.

use std::collections::{BTreeMap, HashMap};

use drawspan_gateway::CallbackUrl;
use drawspan_hub::{DeviceId, HostName, SubscriptionType, UtcTime};
use drawspan_store::{CachedHub, StoredScope, StoredSubscription};
use thiserror::Error;

use super::cipher::OldKeys;
use super::table::{self, Malformed, Row};

/// The columns of `DeviceSubscriptions`.
const SUBSCRIPTION_COLUMNS: [&str; 4] =
    ["DeviceId", "SubscriptionType", "CallbackUrl", "CreatedAt"];
/// The columns of `HubCache`.
const HUB_COLUMNS: [&str; 3] = ["DeviceId", "Hub", "RenewedAt"];

/// A row that cannot be used, and why. Holds no callback URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct BadRow {
    /// The line of a CSV file, the number of the object of a JSON list; from 1.
    pub line: usize,
    /// The mistake.
    pub why: String,
}

/// The result for the table of subscriptions.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Good ones, each once.
    pub good: Vec<StoredSubscription>,
    /// How many go to each origin.
    pub origins: BTreeMap<String, usize>,
    /// The others.
    pub bad: Vec<BadRow>,
}

/// The result for the table of hubs.
#[derive(Debug, Default)]
pub struct Hubs {
    /// Good ones, each once.
    pub good: Vec<CachedHub>,
    /// The others.
    pub bad: Vec<BadRow>,
}

/// Reads an export of `DeviceSubscriptions`.
///
/// # Errors
/// The file is no export at all.
pub fn subscriptions(bytes: &[u8], keys: &OldKeys) -> Result<Subscriptions, Malformed> {
    let mut found = Subscriptions::default();
    let mut lines = HashMap::new();
    for row in table::read(bytes, &SUBSCRIPTION_COLUMNS)? {
        let line = row.line;
        let read = subscription(&row, keys).and_then(|(stored, origin)| {
            once(&mut lines, (stored.scope.clone(), stored.kind), line)?;
            Ok((stored, origin))
        });
        match read {
            Ok((stored, origin)) => {
                *found.origins.entry(origin).or_default() += 1;
                found.good.push(stored);
            }
            Err(why) => found.bad.push(BadRow { line, why }),
        }
    }
    Ok(found)
}

/// Reads an export of `HubCache`.
///
/// # Errors
/// The file is no export at all.
pub fn hubs(bytes: &[u8]) -> Result<Hubs, Malformed> {
    let mut found = Hubs::default();
    let mut lines = HashMap::new();
    for row in table::read(bytes, &HUB_COLUMNS)? {
        let line = row.line;
        let read = hub(&row).and_then(|hub| {
            once(&mut lines, hub.device.clone(), line)?;
            Ok(hub)
        });
        match read {
            Ok(hub) => found.good.push(hub),
            Err(why) => found.bad.push(BadRow { line, why }),
        }
    }
    Ok(found)
}

fn once<K: Eq + std::hash::Hash>(
    lines: &mut HashMap<K, usize>,
    key: K,
    line: usize,
) -> Result<(), String> {
    match lines.insert(key, line) {
        Some(before) => Err(format!("the same as line {before}")),
        None => Ok(()),
    }
}

fn subscription(row: &Row, keys: &OldKeys) -> Result<(StoredSubscription, String), String> {
    let [device, kind, callback, created] = &row.cells[..] else {
        return Err("cells are missing".to_owned());
    };
    let device = device_id(device)?;
    let kind = SubscriptionType::parse(kind).ok_or_else(|| {
        let words = SubscriptionType::ALL.map(SubscriptionType::as_str);
        format!("SubscriptionType is not one of {}", words.join(", "))
    })?;
    let callback = keys.open(callback).map_err(|error| error.to_string())?;
    let callback = CallbackUrl::parse(&callback).map_err(|error| error.to_string())?;
    let stored = StoredSubscription {
        scope: StoredScope::Device(device.as_str().to_owned()),
        kind,
        callback_url: callback.as_str().into(),
        created_at: time("CreatedAt", created)?,
        keep_connected: kind != SubscriptionType::ConnectionStatus,
        imported: true,
        limited: false,
    };
    Ok((stored, callback.origin().to_string()))
}

fn hub(row: &Row) -> Result<CachedHub, String> {
    let [device, hub, renewed] = &row.cells[..] else {
        return Err("cells are missing".to_owned());
    };
    let renewed = time("RenewedAt", renewed)?.unix_ms() / 1_000;
    Ok(CachedHub {
        device: device_id(device)?,
        hub: HostName::parse(hub).map_err(|error| format!("Hub: {error}"))?,
        assigned: None,
        renewed_unix_s: u64::try_from(renewed).unwrap_or(0),
    })
}

fn device_id(text: &str) -> Result<DeviceId, String> {
    DeviceId::parse(text).map_err(|error| format!("DeviceId: {error}"))
}

/// `DATETIME` as the tools write it, in UTC: with a space or a `T`, with a fraction or without.
fn time(column: &str, text: &str) -> Result<UtcTime, String> {
    let text = text.trim().replacen(' ', "T", 1);
    UtcTime::parse(&text)
        .map_err(|_| format!("{column} is not a time, like 2021-05-03 12:34:56.123"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const URL: &str = "aa-ICEiIyQlJicoKSorLC0uLw==:TL72OF92RjQ74RdhLbKvZrz2IbqfdjbrYJguAsUe4PA=";

    fn read(text: &str) -> Subscriptions {
        let mut keys = OldKeys::default();
        keys.add("aa=0123456789ABCDEF").unwrap();
        subscriptions(text.as_bytes(), &keys).unwrap()
    }

    #[test]
    fn good_rows_become_subscriptions() {
        let found = read(&format!(
            "DeviceId,SubscriptionType,CallbackUrl,CreatedAt\n\
             dev-1,C2DMessages,{URL},2021-05-03 12:34:56.123\n\
             dev-1,ConnectionStatus,http://127.0.0.1:3000/x,2021-05-03T12:34:56Z\n"
        ));
        assert_eq!(found.bad, []);
        let [first, second] = &found.good[..] else {
            panic!("{found:?}")
        };
        assert_eq!(first.scope, StoredScope::Device("dev-1".to_owned()));
        assert_eq!(first.kind, SubscriptionType::C2dMessages);
        assert_eq!(first.callback_url.expose_secret(), "https://example.com/16");
        assert_eq!(first.created_at.to_string(), "2021-05-03T12:34:56.1230000Z");
        assert!(first.keep_connected && first.imported);
        assert!(!second.keep_connected && second.imported);
        let origins: Vec<_> = found.origins.into_iter().collect();
        let expected = [("http://127.0.0.1:3000", 1), ("https://example.com:443", 1)];
        assert_eq!(
            origins,
            expected.map(|(origin, count)| (origin.to_owned(), count))
        );
    }

    #[test]
    fn bad_rows_are_named_by_line_and_show_no_url() {
        let check = |row: &str, expected: &str| {
            let good = format!("a,Methods,{URL},2021-05-03 12:00");
            let found = read(&format!("{good}\n{row}\n"));
            assert_eq!(found.good.len(), 1, "{row}");
            let text = found.bad[0].to_string();
            assert!(
                text.starts_with("line 2: ") && text.contains(expected),
                "{text}"
            );
            assert!(!text.contains("s3cret"), "{text}");
        };
        let time = "2021-05-03 12:00";
        check(&format!("a b,Methods,{URL},{time}"), "DeviceId: ");
        check(
            &format!("b,Method,{URL},{time}"),
            "SubscriptionType is not one of DesiredProp",
        );
        check(&format!("b,Methods,s3cret,{time}"), "neither encrypted");
        check(
            &format!("b,Methods,bb{URL},{time}"),
            "no --key for version bbaa",
        );
        check(
            &format!("b,Methods,https://u:s3cret@h/,{time}"),
            "user name or password",
        );
        check(
            &format!("b,Methods,{URL},yesterday"),
            "CreatedAt is not a time",
        );
        check(&format!("a,methods,{URL},{time}"), "the same as line 1");
    }

    #[test]
    fn hubs_are_read() {
        let found = hubs(b"deviceid,hub,renewedat\na,h.example,2021-05-03 12:34:56.000\nb,,x\na,h.example,2021-05-03 12:34:56\n").unwrap();
        assert_eq!(found.good.len(), 1);
        assert_eq!(found.good[0].renewed_unix_s, 1_620_045_296);
        let bad: Vec<_> = found.bad.iter().map(|row| row.line).collect();
        assert_eq!(bad, [3, 4]);
    }
}
