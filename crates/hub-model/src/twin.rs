//! Device twins (article "Understand and use device twins in IoT Hub"): tags and desired properties from services, reported
//! properties from the device.

mod rules;
mod section;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_hub::ErrorCode;
use serde_json::{Map, Value};

use crate::limits::{TWIN_PROPERTIES_BYTES, TWIN_TAGS_BYTES};
pub use rules::TwinRule;
pub use section::{Node, Section, Stamp};

const TAGS: &str = "tags";
const DESIRED: &str = "properties.desired";
const REPORTED: &str = "properties.reported";

/// A JSON object.
pub type Object = Map<String, Value>;

/// The twin of one device. An unused twin is the [`Default`] one and is not stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    /// Grows with every change.
    pub version: u64,
    /// Grows with every change by a service.
    pub etag_number: u64,
    /// Data that services store about the device; the device does not see it.
    pub tags: Object,
    /// Properties that services want of the device.
    pub desired: Section,
    /// Properties that the device reports.
    pub reported: Section,
}

/// A service's change of a twin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinUpdate {
    /// Whether absent members are deleted instead of left unchanged.
    pub replace: bool,
    /// `None` if absent; an empty object with `replace` deletes all.
    pub tags: Option<Object>,
    /// `None` if absent.
    pub desired: Option<Object>,
}

/// Why a twin does not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    /// Not JSON.
    #[error("The body is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no object where one is due.
    #[error("{0} is not a JSON object")]
    NotAnObject(&'static str),
    /// A rule for what a twin may hold.
    #[error("{}", broken(section, rule))]
    Rule {
        /// Where.
        section: &'static str,
        /// Which.
        rule: TwinRule,
    },
    /// The reported properties are not the version that the device means.
    #[error("The reported properties have version {existing}")]
    OtherVersion {
        /// The version that they have.
        existing: u64,
    },
}

impl TwinError {
    /// The hub's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson(_) => ErrorCode::FORMAT_ERROR,
            Self::Rule {
                rule: TwinRule::TooLarge { .. },
                ..
            } => ErrorCode::DEVICE_MODEL_MAX_PROPERTIES_EXCEEDED,
            Self::NotAnObject(_) | Self::Rule { .. } => ErrorCode::ARGUMENT_INVALID,
            Self::OtherVersion { .. } => ErrorCode::PRECONDITION_FAILED,
        }
    }
}

impl Default for Twin {
    fn default() -> Self {
        let (desired, reported) = (Section::default(), Section::default());
        Self {
            version: desired.version() + reported.version(),
            etag_number: 1,
            tags: Object::new(),
            desired,
            reported,
        }
    }
}

impl Twin {
    /// Changes with every change by a service; written without quotes.
    pub fn etag(&self) -> String {
        STANDARD.encode(self.etag_number.to_be_bytes())
    }

    /// The answer to a device that reads its twin.
    pub fn for_device(&self) -> Value {
        let (desired, reported) = (self.desired.for_device(), self.reported.for_device());
        Value::from_iter([("desired", desired), ("reported", reported)])
    }

    /// Merges what the device reports; `null` deletes. With `version`, only if the reported properties have that one.
    ///
    /// # Errors
    /// When they have another version, or `patch`, or what comes of it, is against the rules; then nothing is changed.
    pub fn report(
        &mut self,
        patch: &Object,
        version: Option<u64>,
        now_unix_ms: u64,
    ) -> Result<(), TwinError> {
        let existing = self.reported.version();
        if version.is_some_and(|version| version != existing) {
            return Err(TwinError::OtherVersion { existing });
        }
        check_rules(REPORTED, patch, true)?;
        let mut reported = self.reported.clone();
        reported.merge(patch, now_unix_ms);
        check_size(REPORTED, reported.size(), TWIN_PROPERTIES_BYTES)?;
        self.reported = reported;
        self.version += 1;
        Ok(())
    }

    /// Executes a change of a service. Returns the notification of desired properties for the device: a patch with `$version`.
    ///
    /// # Errors
    /// When the update, or what comes of it, is against the rules; then nothing is changed.
    pub fn update(
        &mut self,
        update: &TwinUpdate,
        now_unix_ms: u64,
    ) -> Result<Option<Value>, TwinError> {
        let mut after = self.clone();
        let empty = Object::new();
        let given = |part: &Option<Object>| match part {
            None if update.replace => Some(empty.clone()),
            part => part.clone(),
        };
        if let Some(tags) = given(&update.tags) {
            check_rules(TAGS, &tags, !update.replace)?;
            if update.replace {
                after.tags.clear();
            }
            section::merge_plain(&mut after.tags, &tags);
            check_size(TAGS, rules::size(&after.tags), TWIN_TAGS_BYTES)?;
        }
        let mut news = None;
        if let Some(mut desired) = given(&update.desired) {
            check_rules(DESIRED, &desired, !update.replace)?;
            if update.replace {
                after.desired.add_removals(&mut desired);
                after.desired.clear();
            }
            after.desired.merge(&desired, now_unix_ms);
            check_size(DESIRED, after.desired.size(), TWIN_PROPERTIES_BYTES)?;
            desired.insert("$version".into(), after.desired.version().into());
            news = Some(Value::Object(desired));
        }
        after.version += 1;
        after.etag_number += 1;
        *self = after;
        Ok(news)
    }
}

/// Reads a patch as a device or service sends it.
///
/// # Errors
/// [`TwinError::NotJson`], [`TwinError::NotAnObject`], or [`TwinError::Rule`] for an integer that would become a float.
pub fn parse_patch(bytes: &[u8]) -> Result<Object, TwinError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(_)) if rules::has_huge_integer(bytes) => Err(TwinError::Rule {
            section: "the body",
            rule: TwinRule::Integer,
        }),
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(TwinError::NotAnObject("the body")),
        Err(error) => Err(TwinError::NotJson(error.to_string())),
    }
}

impl TwinUpdate {
    /// Reads a service's description of a twin, of which only tags and desired properties count. What the hub itself writes
    /// into them (`$version`, `$metadata`) may come back, and is left out.
    ///
    /// # Errors
    /// [`TwinError::NotAnObject`].
    pub fn from_json(mut body: Object, replace: bool) -> Result<Self, TwinError> {
        let properties = match body.remove("properties") {
            None | Some(Value::Null) => Object::new(),
            Some(Value::Object(properties)) => properties,
            Some(_) => return Err(TwinError::NotAnObject("properties")),
        };
        let mut properties = properties;
        Ok(Self {
            replace,
            tags: part(&mut body, "tags", TAGS)?,
            desired: part(&mut properties, "desired", DESIRED)?,
        })
    }
}

fn part(of: &mut Object, name: &str, section: &'static str) -> Result<Option<Object>, TwinError> {
    match of.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(mut object)) => {
            for read_only in ["$version", "$metadata", "$etag"] {
                object.remove(read_only);
            }
            Ok(Some(object))
        }
        Some(_) => Err(TwinError::NotAnObject(section)),
    }
}

fn check_rules(section: &'static str, patch: &Object, deletes: bool) -> Result<(), TwinError> {
    match rules::broken(patch, deletes) {
        Some(rule) => Err(TwinError::Rule { section, rule }),
        None => Ok(()),
    }
}

fn check_size(section: &'static str, size: usize, max_bytes: usize) -> Result<(), TwinError> {
    if size <= max_bytes {
        return Ok(());
    }
    let rule = TwinRule::TooLarge { max_bytes };
    Err(TwinError::Rule { section, rule })
}

/// The text for a broken rule. The hub's own texts that name a property say nothing of the section.
fn broken(section: &str, rule: &TwinRule) -> String {
    let hubs_name = match section {
        TAGS => "Tags",
        DESIRED => "Properties.Desired",
        REPORTED => "Properties.Reported",
        other => other,
    };
    match rule {
        TwinRule::TooLarge { .. } => format!("'{hubs_name}' {rule}"),
        TwinRule::Depth | TwinRule::Integer => format!("{section}: {rule}"),
        rule => rule.to_string(),
    }
}
