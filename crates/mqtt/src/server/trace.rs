//! The last packets of a connection, noted on request: what they are, never what they carry.

use std::collections::VecDeque;
use std::time::Duration;

use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait as _, Packet};

use crate::limits::{TRACED_CHARS, TRACED_PACKETS};

/// Where a topic goes on with the properties of a message.
const BAGS: [&str; 2] = ["/messages/events/", "/messages/devicebound/"];

/// A packet that went over the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedPacket {
    /// When, by the connection's clock; not more exact than its wake-ups.
    pub at: Duration,
    /// Whether the server sent it.
    pub sent: bool,
    /// Its size.
    pub bytes: usize,
    /// Its name and fields; no payload, no password, no properties of messages.
    pub text: String,
}

/// The packets that are noted.
#[derive(Debug, Default)]
pub(super) struct Trace {
    packets: VecDeque<TracedPacket>,
    pub(super) now: Duration,
}

impl Trace {
    pub(super) fn packets(&self) -> impl Iterator<Item = &TracedPacket> {
        self.packets.iter()
    }

    pub(super) fn note(&mut self, sent: bool, packet: &Packet) {
        while self.packets.len() >= TRACED_PACKETS {
            self.packets.pop_front();
        }
        self.packets.push_back(TracedPacket {
            at: self.now,
            sent,
            bytes: packet.size(),
            text: of(packet).chars().take(TRACED_CHARS).collect(),
        });
    }
}

fn of(packet: &Packet) -> String {
    match packet {
        Packet::V3_1_1Connect(it) => format!(
            "CONNECT client-id={} clean-session={} keep-alive={}",
            it.client_id(),
            it.clean_session(),
            it.keep_alive()
        ),
        Packet::V3_1_1Connack(it) => format!("CONNACK {:?}", it.return_code()),
        Packet::V3_1_1Publish(it) => {
            let id = it.packet_id().map(|id| format!(" packet-id={id}"));
            let (qos, id) = (it.qos() as u8, id.unwrap_or_default());
            let (topic, payload) = (without_bag(it.topic_name()), it.payload().len());
            format!("PUBLISH qos={qos}{id} payload-bytes={payload} topic={topic}")
        }
        Packet::V3_1_1Puback(it) => format!("PUBACK packet-id={}", it.packet_id()),
        Packet::V3_1_1Subscribe(it) => {
            let filters = it.entries().iter().map(|entry| entry.topic_filter());
            let filters = filters.collect::<Vec<_>>().join(", ");
            format!("SUBSCRIBE packet-id={} filters={filters}", it.packet_id())
        }
        Packet::V3_1_1Suback(it) => format!("SUBACK packet-id={}", it.packet_id()),
        Packet::V3_1_1Unsubscribe(it) => format!("UNSUBSCRIBE packet-id={}", it.packet_id()),
        Packet::V3_1_1Unsuback(it) => format!("UNSUBACK packet-id={}", it.packet_id()),
        Packet::V3_1_1Pingreq(_) => "PINGREQ".to_owned(),
        Packet::V3_1_1Pingresp(_) => "PINGRESP".to_owned(),
        Packet::V3_1_1Disconnect(_) => "DISCONNECT".to_owned(),
        _ => "another packet".to_owned(),
    }
}

/// A topic without the properties of a message.
fn without_bag(topic: &str) -> &str {
    let end = |bag: &&str| topic.find(*bag).map(|at| at + bag.len());
    let end = BAGS.iter().find_map(end).unwrap_or(topic.len());
    topic.get(..end).unwrap_or(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_properties_of_a_message_are_left_out() {
        for (topic, shown) in [
            (
                "devices/a/messages/events/key=secret",
                "devices/a/messages/events/",
            ),
            (
                "devices/a/messages/devicebound/key=secret",
                "devices/a/messages/devicebound/",
            ),
            ("$iothub/twin/GET/?$rid=1", "$iothub/twin/GET/?$rid=1"),
        ] {
            assert_eq!(without_bag(topic), shown);
        }
    }
}
