//! Properties with their versions and times.

use std::collections::BTreeMap;

use drawspan_hub::UtcTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rules;

/// The hub's value for a missing time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Desired or reported properties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    version: u64,
    #[serde(flatten)]
    root: Root,
}

/// The section itself as a property.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Root {
    stamp: Option<Stamp>,
    properties: Nodes,
}

/// Properties by name.
type Nodes = BTreeMap<String, Node>;

/// A property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    #[serde(rename = "s")]
    stamp: Stamp,
    #[serde(flatten)]
    content: Content,
}

/// When a property, or something in it, was last written, and by which change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When.
    pub unix_ms: u64,
    /// The section's version of then.
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Content {
    /// Anything but an object.
    #[serde(rename = "v")]
    Value(Value),
    #[serde(rename = "o")]
    Object(Nodes),
}

impl Default for Section {
    fn default() -> Self {
        Self {
            version: 1,
            root: Root::default(),
        }
    }
}

impl Section {
    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Properties and `$version`.
    pub fn for_device(&self) -> Value {
        let mut object = plain(&self.root.properties);
        object.insert("$version".into(), self.version.into());
        Value::Object(object)
    }

    /// Properties, `$metadata` and `$version`; desired properties say at which version each of them was last written.
    pub fn for_service(&self, with_versions: bool) -> Value {
        let mut object = plain(&self.root.properties);
        let mut metadata = metadata(&self.root.properties, with_versions);
        stamp(&mut metadata, self.root.stamp, with_versions);
        object.insert("$metadata".into(), Value::Object(metadata));
        object.insert("$version".into(), self.version.into());
        Value::Object(object)
    }

    /// Merges a patch (RFC 7396): `null` deletes. The version increases with every patch.
    pub(super) fn merge(&mut self, patch: &Map<String, Value>, now_unix_ms: u64) {
        self.version += 1;
        let stamp = Stamp {
            unix_ms: now_unix_ms,
            version: self.version,
        };
        self.root.stamp = Some(stamp);
        merge(&mut self.root.properties, patch, stamp);
    }

    /// Adds to a patch what deletes every property that is not in it.
    pub(super) fn add_removals(&self, patch: &mut Map<String, Value>) {
        add_removals(&self.root.properties, patch);
    }

    pub(super) fn clear(&mut self) {
        self.root.properties.clear();
    }

    /// Bytes that count; see [`rules::size`].
    pub(super) fn size(&self) -> usize {
        size(&self.root.properties)
    }
}

/// Merges a patch into an object without versions.
pub(super) fn merge_plain(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                object.remove(name);
            }
            Value::Object(patch) => {
                let inner = object.entry(name.clone()).or_insert(Value::Null);
                if !inner.is_object() {
                    *inner = json!({});
                }
                if let Value::Object(inner) = inner {
                    merge_plain(inner, patch);
                }
            }
            value => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

fn merge(nodes: &mut Nodes, patch: &Map<String, Value>, stamp: Stamp) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                nodes.remove(name);
            }
            Value::Object(patch) => {
                let mut inner = match nodes.remove(name).map(|node| node.content) {
                    Some(Content::Object(inner)) => inner,
                    _ => Nodes::new(),
                };
                merge(&mut inner, patch, stamp);
                let content = Content::Object(inner);
                nodes.insert(name.clone(), Node { stamp, content });
            }
            value => {
                let content = Content::Value(value.clone());
                nodes.insert(name.clone(), Node { stamp, content });
            }
        }
    }
}

fn add_removals(nodes: &Nodes, patch: &mut Map<String, Value>) {
    for (name, node) in nodes {
        let value = patch.entry(name.clone()).or_insert(Value::Null);
        if let (Content::Object(inner), Value::Object(patch)) = (&node.content, value) {
            add_removals(inner, patch);
        }
    }
}

fn plain(nodes: &Nodes) -> Map<String, Value> {
    let of = |(name, node): (&String, &Node)| {
        let value = match &node.content {
            Content::Value(value) => value.clone(),
            Content::Object(inner) => Value::Object(plain(inner)),
        };
        (name.clone(), value)
    };
    nodes.iter().map(of).collect()
}

fn metadata(nodes: &Nodes, with_versions: bool) -> Map<String, Value> {
    let of = |(name, node): (&String, &Node)| {
        let mut object = match &node.content {
            Content::Value(_) => Map::new(),
            Content::Object(inner) => metadata(inner, with_versions),
        };
        stamp(&mut object, Some(node.stamp), with_versions);
        (name.clone(), Value::Object(object))
    };
    nodes.iter().map(of).collect()
}

fn stamp(object: &mut Map<String, Value>, stamp: Option<Stamp>, with_versions: bool) {
    let time = stamp.map_or_else(
        || NEVER.to_owned(),
        |stamp| UtcTime::from_unix_ms(stamp.unix_ms as i64).to_string(),
    );
    object.insert("$lastUpdated".into(), time.into());
    if let Some(stamp) = stamp.filter(|_| with_versions) {
        object.insert("$lastUpdatedVersion".into(), stamp.version.into());
    }
}

fn size(nodes: &Nodes) -> usize {
    let of = |(name, node): (&String, &Node)| {
        let value = match &node.content {
            Content::Value(value) => rules::size_of(value),
            Content::Object(inner) => size(inner),
        };
        name.len() + value
    };
    nodes.iter().map(of).sum()
}
