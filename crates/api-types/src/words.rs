//! Schemas of the API's texts and numbers, with their actual limits.

use std::convert::identity;

use drawspan_gateway::limits::MAX_CALLBACK_URL_BYTES;
use drawspan_gateway::{DeviceState, SubscriptionStatus};
use drawspan_hub::limits::DEVICE_ID_MAX_CHARS;
use drawspan_hub::{
    ConnectionCause, ConnectionStatus, ConnectionStatusReason, SubscriptionType, UtcTime,
};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::model_id;

/// Characters of device ids, as a pattern.
const ID_CHARACTERS: &str = r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']";

/// A model id, or the empty string.
const MODEL_ID: &str = "^(dtmi:[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?(:[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?)*(;[1-9][0-9]{0,8}(\\.[0-9]{1,9})?)?)?$";

/// Declares types for named schemas. A type that holds a value serialises as the result of the given function.
macro_rules! named {
    ($($name:ident $(($value:ty, $text:path))?: $schema:expr;)+) => {
        $(
            #[doc = "The schema of that name."]
            #[derive(Debug, Clone, Copy)]
            pub struct $name $((
                #[doc = "What it says."]
                pub $value,
            ))?;

            $(impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(&$text(self.0))
                }
            })?

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    Schema::Object($schema.build()).into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

named! {
    DeviceId: text("Id of a device at its hub; case-sensitive.")
        .min_length(Some(1))
        .max_length(Some(DEVICE_ID_MAX_CHARS))
        .pattern(Some(format!("^{ID_CHARACTERS}+$")))
        .examples(["sensor-1"]);
    Prefix: text("Prefix of device ids; empty for all devices.")
        .max_length(Some(DEVICE_ID_MAX_CHARS))
        .pattern(Some(format!("^{ID_CHARACTERS}*$")))
        .examples(["pump-"]);
    CallbackUrl: text(
        "URL to which events are posted: absolute, http or https, without user name and password. The operator must allow \
         private addresses (`--allow-callbacks`).")
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .min_length(Some(1))
        .max_length(Some(MAX_CALLBACK_URL_BYTES))
        .pattern(Some("^https?://[^/?#@]+([/?#].*)?$"))
        .examples(["https://example.com/events?code=secret"]);
    Time(UtcTime, identity): text("A time in UTC, ISO 8601.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-11-22T10:20:30.1234567Z"]);
    SubscriptionKind(SubscriptionType, SubscriptionType::as_str): words("Kind of events of a subscription.", SubscriptionType::ALL.map(SubscriptionType::as_str));
    Progress(SubscriptionStatus, SubscriptionStatus::as_str): words(
        "`Starting` until events can arrive, `Running` while the device is connected, `Stopped` when it cannot be connected.",
        SubscriptionStatus::ALL.map(SubscriptionStatus::as_str));
    Connection(ConnectionStatus, ConnectionStatus::as_str): words("The connection of a device, in the words of the original bridge.", ConnectionStatus::ALL.map(ConnectionStatus::as_str));
    Reason(ConnectionStatusReason, ConnectionStatusReason::as_str): words("Reason for the status of the connection.", ConnectionStatusReason::ALL.map(ConnectionStatusReason::as_str));
    Cause(ConnectionCause, ConnectionCause::as_str): words("Cause of a change of the connection; docs/operate.md says what to do.", ConnectionCause::ALL.map(ConnectionCause::as_str));
    State(DeviceState, DeviceState::as_str): words("State of the device.", DeviceState::ALL.map(DeviceState::as_str));
    ModelId: text("Digital twin model of the device.")
        .max_length(Some(model_id::MAX_CHARS))
        .pattern(Some(MODEL_ID))
        .examples(["dtmi:com:example:Pump;1"]);
    JsonObject: ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Any JSON object."))
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(true)));
}

/// A schema of text.
#[must_use]
pub fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

/// A schema of a whole number within limits.
#[must_use]
pub fn number(least: u64, most: u64, default: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least as f64))
        .maximum(Some(most as f64))
        .default(Some(Value::from(default)))
}

fn words<const N: usize>(description: &str, words: [&'static str; N]) -> ObjectBuilder {
    text(description).enum_values(Some(words))
}
