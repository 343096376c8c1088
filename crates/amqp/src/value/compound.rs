//! `map` and `array`.

use std::mem::discriminant;

use super::Value;

/// Key-value pairs in the order of the wire; keys need not be unique on the wire, the first one counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(pub Vec<(Value, Value)>);

/// Values of one type, as the `array` encoding demands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Array(Vec<Value>);

/// An array was to be made of values of several types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the values of an array have one type")]
pub struct MixedArray;

impl Map {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of the first entry whose key, string or symbol, has this text.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter()
            .find(|(name, _)| name.as_str() == Some(key))
            .map(|(_, value)| value)
    }

    /// The same for symbol keys only, as annotations and `fields` demand.
    #[must_use]
    pub fn get_symbol(&self, key: &str) -> Option<&Value> {
        self.iter()
            .find(|(name, _)| matches!(name, Value::Symbol(name) if name == key))
            .map(|(_, value)| value)
    }

    /// Adds an entry at the end, without looking for its key.
    pub fn push(&mut self, key: impl Into<Value>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// Sets the value of the first entry with this key, or adds one. Returns the value that was there.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Entries in the order of the wire.
    pub fn iter(&self) -> std::slice::Iter<'_, (Value, Value)> {
        self.0.iter()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = &'a (Value, Value);
    type IntoIter = std::slice::Iter<'a, (Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = std::vec::IntoIter<(Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Array {
    /// An array of these values. Beware of empty ones where azure-eventhub for Python reads: it misreads them.
    ///
    /// # Errors
    /// [`MixedArray`] when their types differ, or the descriptors of described values.
    pub fn new(items: Vec<Value>) -> Result<Self, MixedArray> {
        match items.split_first() {
            Some((first, rest)) if !rest.iter().all(|item| same_type(first, item)) => {
                Err(MixedArray)
            }
            _ => Ok(Self(items)),
        }
    }

    /// Items that a decoder read behind one constructor, thus of one type.
    pub(crate) fn of_one_constructor(items: Vec<Value>) -> Self {
        Self(items)
    }

    /// Its values.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        &self.0
    }
}

fn same_type(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Described(left), Value::Described(right)) => {
            left.0 == right.0 && same_type(&left.1, &right.1)
        }
        _ => discriminant(left) == discriminant(right),
    }
}
