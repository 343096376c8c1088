//! Cloud-to-device messages: handed out over MQTT, and acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use drawspan_amqp::message::Message;
use drawspan_emulator_hub::hub::{Hub, SettleError};
use drawspan_hub::{DeviceId, UtcTime};
use drawspan_hub_model::c2d::{LockToken, Outcome, QueuedMessage};
use drawspan_hub_store::NoSlot;
use drawspan_mqtt::property_bag;
use drawspan_mqtt::{Qos, Server};

use crate::limits;

/// The messages that a device has, and has not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// By the id of their packets.
    out: HashMap<u16, LockToken>,
    /// Acknowledged, while nothing could be stored.
    unheard: Vec<LockToken>,
    /// When these are tried again.
    pub(super) retry_at: Option<Duration>,
}

impl Messages {
    /// Hands out what waits for the device.
    pub(super) fn hand_out(&mut self, server: &mut Server, hub: &Hub, device: &DeviceId, qos: Qos) {
        while self.out.len() < limits::MQTT_MESSAGES_UNACKNOWLEDGED
            && server.output_bytes() < limits::MQTT_OUTPUT_BYTES
        {
            match hub.lock_message(device) {
                Ok(Some((token, message))) => {
                    if !self.send(server, hub, device, token, &message, qos) {
                        return hub.release_message(device, token);
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(hub = %hub.host(), %error, "messages cannot be handed out");
                    return;
                }
            }
        }
    }

    fn send(
        &mut self,
        server: &mut Server,
        hub: &Hub,
        device: &DeviceId,
        token: LockToken,
        queued: &QueuedMessage,
        qos: Qos,
    ) -> bool {
        let Ok(message) = Message::decode(&queued.item.payload) else {
            // It was read when it was taken in.
            debug_assert!(false, "a message that waits cannot be read");
            return false;
        };
        let topic = topic(device, &message);
        if topic.len() > usize::from(u16::MAX) {
            // Its lock keeps it out of the way of others, for a while.
            tracing::warn!(hub = %hub.host(), %device, "the properties of a message are longer than a topic of MQTT can be");
            return true;
        }
        let body = message.data();
        let sent = match qos {
            Qos::AtMostOnce => server.publish(&topic, &body).map(|()| None),
            _ => server.publish_at_least_once(&topic, &body).map(Some),
        };
        let Ok(id) = sent else { return false };
        hub.message_delivered(device, queued.sequence);
        match id {
            Some(id) => _ = self.out.insert(id, token),
            None => self.complete(hub, device, token),
        }
        true
    }

    /// The device has a message.
    pub(super) fn acknowledged(&mut self, hub: &Hub, device: &DeviceId, packet_id: u16) {
        if let Some(token) = self.out.remove(&packet_id) {
            self.complete(hub, device, token);
        }
    }

    /// Tries what could not be stored.
    pub(super) fn retry(&mut self, hub: &Hub, device: &DeviceId) {
        self.retry_at = None;
        for token in std::mem::take(&mut self.unheard) {
            self.complete(hub, device, token);
        }
    }

    fn complete(&mut self, hub: &Hub, device: &DeviceId, token: LockToken) {
        match hub.settle_message(device, token, Outcome::Complete, |_| {}) {
            Ok(()) => {}
            Err(SettleError::Store(NoSlot::Full)) => self.unheard.push(token),
            Err(SettleError::LockLost | SettleError::Store(NoSlot::Closed | NoSlot::Failing)) => {
                tracing::debug!(hub = %hub.host(), %device, "an acknowledgement came too late");
            }
        }
    }

    /// Whether acknowledgements wait to be stored.
    pub(super) fn has_unheard(&self) -> bool {
        !self.unheard.is_empty()
    }
}

/// The topic of a message. Its properties begin with the system's; there is always one, since the C# client looks for it.
fn topic(device: &DeviceId, message: &Message) -> String {
    let mut bag = String::new();
    let mut push = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            property_bag::push(&mut bag, name, &value);
        }
    };
    let properties = message.properties.as_ref();
    if let Some(properties) = properties {
        let id = properties.message_id.as_ref();
        push("$.mid", id.map(ToString::to_string));
        push("$.to", properties.to.clone());
        let id = properties.correlation_id.as_ref();
        push("$.cid", id.map(ToString::to_string));
        let user = properties.user_id.as_ref();
        push(
            "$.uid",
            user.map(|user| String::from_utf8_lossy(user).into_owned()),
        );
        let expiry = properties.absolute_expiry_time;
        push("$.exp", expiry.map(round_trip));
        let word = properties.content_type.as_ref();
        push("$.ct", word.map(|word| word.as_str().to_owned()));
        let word = properties.content_encoding.as_ref();
        push("$.ce", word.map(|word| word.as_str().to_owned()));
    }
    for (name, value) in message
        .application_properties
        .iter()
        .flat_map(|map| map.iter())
    {
        let Some(name) = name.as_str() else { continue };
        push(name, value.as_str().map(str::to_owned));
    }
    let device = property_bag::topic_level(device.as_str());
    format!("devices/{device}/messages/devicebound/{bag}")
}

/// A time as .NET's round-trip format has it, with seven digits of a second, which its client insists on.
fn round_trip(unix_ms: i64) -> String {
    let text = UtcTime::from_unix_ms(unix_ms).to_string();
    let text = text.trim_end_matches('Z');
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{fraction:0<7.7}Z")
}

#[cfg(test)]
mod tests {
    use drawspan_amqp::message::{MessageId, Properties};

    use super::*;

    #[test]
    fn a_topic_has_the_properties_of_its_message() {
        let message = Message {
            properties: Some(Properties {
                message_id: Some(MessageId::String("m 1".into())),
                to: Some("/devices/d/messages/deviceBound".into()),
                absolute_expiry_time: Some(1_704_164_645_678),
                ..Properties::default()
            }),
            ..Message::default()
        };
        let device = DeviceId::parse("d").unwrap();
        assert_eq!(
            topic(&device, &message),
            "devices/d/messages/devicebound/%24.mid=m%201&%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound\
             &%24.exp=2024-01-02T03%3A04%3A05.6780000Z"
        );
        assert_eq!(round_trip(0), "1970-01-01T00:00:00.0000000Z");
    }
}
