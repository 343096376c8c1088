//! The body of a batch: `{messages: [{deviceId, data, properties?, componentName?, creationTimeUtc?}, …]}`.
//!
//! Member names compare without case, as everywhere. An invalid message fails alone; an invalid list fails the whole call. Both
//! errors name the message by its index.

use std::fmt;

use bytes::Bytes;
use drawspan_hub::{DeviceId, Telemetry};
use drawspan_settings::Grant;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::authorization::check_device;
use crate::json_error::words;
use crate::limits::MAX_BATCH_ITEMS;
use crate::problem::{Kind, Problem};
use crate::request::{invalid_body, sentence};
use crate::{json_member, telemetry};

/// One of the list.
pub(super) struct Item {
    /// Its device id, if that is a text.
    pub(super) name: Option<String>,
    /// The message, or what is wrong with it.
    pub(super) message: Result<(DeviceId, Telemetry), Problem>,
}

/// Reads the list. `data` of each stays where it is in `body`.
///
/// # Errors
/// When there is no list, or it is too long.
pub(super) fn read(body: &Bytes, limit: Option<&Grant>) -> Result<Vec<Item>, Problem> {
    let list =
        json_member::read(body, "messages").map_err(|error| invalid_body(error.to_string()))?;
    let list = list.ok_or_else(|| invalid_body("The member `messages` is required."))?;
    let list = serde_json::Deserializer::from_str(list)
        .deserialize_seq(Few)
        .map_err(|error| {
            let words = words(&error, list.as_bytes());
            invalid_body(format!("The member `messages` is not valid: {words}."))
        })?;
    if list.is_empty() {
        return Err(invalid_body("The member `messages` must not be empty."));
    }
    let bytes = |text: &&RawValue| body.slice_ref(text.get().as_bytes());
    let items = list.iter().map(bytes).map(|text| item(&text, limit));
    Ok(items.enumerate().map(|(at, item)| item.at(at)).collect())
}

impl Item {
    /// The same; what is wrong with it names its index.
    fn at(mut self, index: usize) -> Self {
        self.message = self.message.map_err(|problem| match problem.kind() {
            Kind::InvalidBody | Kind::InvalidDeviceId => {
                problem.about(&format!("`messages[{index}]`"))
            }
            _ => problem,
        });
        self
    }
}

fn item(text: &Bytes, limit: Option<&Grant>) -> Item {
    if !text.starts_with(b"{") {
        return Item {
            name: None,
            message: Err(invalid_body("A message must be a JSON object.")),
        };
    }
    let name = json_member::read(text, "deviceId");
    let name = match name {
        Ok(name) => name.map(serde_json::from_str::<String>),
        Err(error) => {
            return Item {
                name: None,
                message: Err(invalid_body(error.to_string())),
            };
        }
    };
    let (name, device) = match name {
        Some(Ok(name)) => {
            let device = DeviceId::parse(&name)
                .map_err(|error| Problem::new(Kind::InvalidDeviceId, sentence(&error.to_string())));
            (Some(name), device)
        }
        Some(Err(_)) => (
            None,
            Err(invalid_body("The member `deviceId` must be a string.")),
        ),
        None => (
            None,
            Err(invalid_body("The member `deviceId` is required.")),
        ),
    };
    let message = device.and_then(|device| {
        check_device(limit, &device)?;
        Ok((device, telemetry::message(text)?))
    });
    Item { name, message }
}

/// A list that is not too long.
struct Few;

impl<'de> Visitor<'de> for Few {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_BATCH_ITEMS} messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = list.next_element()? {
            if found.len() == MAX_BATCH_ITEMS {
                return Err(A::Error::custom(format!(
                    "more than {MAX_BATCH_ITEMS} messages"
                )));
            }
            found.push(item);
        }
        Ok(found)
    }
}
