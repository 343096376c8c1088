//! Settings in effect, for display and for comparison on reload.

use std::fmt::Write as _;

use drawspan_net::Proxy;
use sha2::{Digest as _, Sha256};

use super::layers::Values;
use super::provenance::Source;
use super::settings::{Kind, SETTINGS, Setting, Spec};
use super::value::Value;
use crate::api_keys::ApiKey;

/// A setting as it counts. Shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Which.
    pub setting: Setting,
    /// Its key.
    pub key: &'static str,
    /// Its value, secrets replaced; empty if there is no value.
    pub shown: String,
    /// The source of the value.
    pub source: Source,
    /// Whether SIGHUP changes it.
    pub reload: bool,
    /// Distinguishes values without storing them.
    fingerprint: [u8; 32],
}

impl Effective {
    /// Whether the value is another one, wherever it came from.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        self.fingerprint != other.fingerprint
    }
}

/// All settings, in their order.
pub(super) fn effective(values: &Values) -> Vec<Effective> {
    let of = |spec: &'static Spec| {
        let value = values.get(spec.setting);
        Effective {
            setting: spec.setting,
            key: spec.key,
            shown: value.map_or_else(|| spec.default.to_owned(), |value| shown(spec, value)),
            source: value.map_or(Source::Default, |value| value.source.clone()),
            reload: spec.reload,
            fingerprint: fingerprint(spec, values, value),
        }
    };
    SETTINGS.iter().map(of).collect()
}

/// A table for a terminal.
#[must_use]
pub fn table(effective: &[Effective]) -> String {
    let width = |text: fn(&Effective) -> usize| effective.iter().map(text).max().unwrap_or(0);
    let (keys, values) = (width(|row| row.key.len()), width(|row| row.shown.len()));
    let mut text = String::new();
    for row in effective {
        let shown = if row.shown.is_empty() {
            "-"
        } else {
            &row.shown
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:keys$}  {shown:values$}  {}", row.key, row.source);
    }
    text
}

fn shown(spec: &Spec, value: &Value) -> String {
    match (spec.kind, value.values.len()) {
        (Kind::SecretList, _) if spec.setting == Setting::ApiKey => api_keys(value),
        (Kind::Secret, _) | (Kind::SecretList, 1) => "***".to_owned(),
        (Kind::SecretList, count) => format!("*** ({count} values)"),
        // It may hold a password.
        _ if spec.setting == Setting::Proxy => match (value.text(), Proxy::parse(value.text())) {
            ("none", _) => "none".to_owned(),
            (_, Ok(proxy)) => proxy.to_string(),
            (_, Err(_)) => "***".to_owned(),
        },
        _ => {
            let texts: Vec<_> = value.values.iter().map(|text| text.0.as_str()).collect();
            texts.join(", ")
        }
    }
}

/// Nothing of plaintext keys, and the public part of those given by their hash.
fn api_keys(value: &Value) -> String {
    let parsed = value.values.iter().map(|text| ApiKey::parse(&text.0).ok());
    let hashed = parsed.flatten().filter(ApiKey::is_hashed);
    let mut shown: Vec<String> = hashed.map(|key| key.shown()).collect();
    match value.values.len() - shown.len() {
        0 => {}
        1 => shown.insert(0, "***".to_owned()),
        plain => shown.insert(0, format!("*** ({plain} values)")),
    }
    shown.join(", ")
}

fn fingerprint(spec: &Spec, values: &Values, value: Option<&Value>) -> [u8; 32] {
    let mut hash = Sha256::new();
    match value {
        None => hash.update(spec.default),
        Some(value) => {
            for text in &value.values {
                hash.update(text.0.trim());
                hash.update([0]);
            }
        }
    }
    // Of files that are read once the contents count, too: a changed one is not in use yet.
    if let (Setting::DevicesFile | Setting::Ca | Setting::CallbackCa, Some(value)) =
        (spec.setting, value)
        && let Ok(bytes) = std::fs::read(values.path(value))
    {
        hash.update(bytes);
    }
    hash.finalize().into()
}
