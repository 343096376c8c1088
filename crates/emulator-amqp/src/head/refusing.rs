//! Log lines of refusals over AMQP.

use drawspan_amqp::engine::{Closed, Connection, LinkId};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{Attach, DeliveryState, Error, Role};
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::error_body::ErrorDescription;
use drawspan_hub_model::event::DisconnectReason;
use drawspan_net::Ended;

use super::Head;
use super::messages::Arrived;
use crate::telemetry;

impl Head {
    /// Logs that the client is refused `what` by an AMQP error.
    pub(super) fn refused(&self, door: Door, what: &str, error: &Error) {
        let description = error.description.as_deref().unwrap_or_default();
        self.refused_with(door, what, error.condition.as_str(), description);
    }

    /// Logs that the client is refused `what`. The code in the description counts, or else `code`.
    pub(super) fn refused_with(&self, door: Door, what: &str, code: &str, description: &str) {
        let said = ErrorDescription::parse(description);
        let number = said.code.map(|code| code.to_string());
        let hub = self.hub.as_ref().map(|hub| hub.host().as_str());
        let what = match (what, hub) {
            ("", hub) => hub.unwrap_or_default().to_owned(),
            (what, Some(hub)) => format!("{what} at {hub}"),
            (what, None) => what.to_owned(),
        };
        let code = number.as_deref().unwrap_or(code);
        let refusals = &self.shared.refusals;
        refusals.log(door, code, self.peer, &what, &said.message);
    }

    /// Rejects a message, of a device where that is known, and logs it.
    pub(super) fn reject(
        &self,
        connection: &mut Connection,
        arrived: &Arrived,
        of: &str,
        error: Error,
    ) {
        self.refused(Door::Message, of, &error);
        arrived.settle(connection, DeliveryState::Rejected(Some(error)));
    }

    /// Ends a link, and logs it. `reason` is that of its client's disconnection, should it be the last one.
    pub(super) fn end_link(
        &mut self,
        connection: &mut Connection,
        id: LinkId,
        reason: DisconnectReason,
        error: Error,
    ) {
        let client = self.links.get_mut(id).and_then(|link| link.of_client());
        let what = client.map_or_else(String::new, |(kind, owner)| {
            format!("{kind:?} of {}", owner.client.described())
        });
        self.refused(Door::LinkEnd, &what, &error);
        // A link that is gone meanwhile is as good.
        if connection.detach(id, true, Some(error)).is_ok() {
            self.ending.insert(id, reason);
        }
    }

    /// The request in a message, which is settled before it is answered: the C client takes it for lost otherwise.
    pub(super) fn request(
        &self,
        connection: &mut Connection,
        arrived: &Arrived,
    ) -> Option<Message> {
        match Message::decode(&arrived.payload) {
            Ok(request) => {
                arrived.settle(connection, DeliveryState::Accepted);
                Some(request)
            }
            Err(error) => {
                self.reject(connection, arrived, "", telemetry::malformed(error));
                None
            }
        }
    }

    /// Logs how the connection ended, if that is for a fault of the client's.
    pub(crate) fn log_end(&self, ended: &Ended) {
        let (code, reason) = match ended {
            Ended::Closed(Closed::Violation(error)) => {
                return self.refused(Door::Protocol, "", error);
            }
            Ended::Closed(Closed::WrongProtocol(header)) => ("WrongProtocol", spoken(header)),
            Ended::Closed(Closed::Silent) => ("Silent", "the client was silent for too long"),
            Ended::Closed(Closed::TimedOut) => (
                "TimedOut",
                "the client did not open or close the connection in time",
            ),
            Ended::Closed(Closed::PeerDoesNotRead) => {
                ("DoesNotRead", "the client does not read what it asks for")
            }
            Ended::Closed(_) | Ended::Stream(_) => return,
        };
        self.refused_with(Door::Protocol, "", code, reason);
    }
}

/// The purpose of a link, for the log.
pub(super) fn link_of(attach: &Attach) -> String {
    let (direction, address) = match attach.role {
        Role::Sender => (
            "to",
            attach
                .target
                .as_ref()
                .and_then(|target| target.address.as_deref()),
        ),
        Role::Receiver => (
            "from",
            attach
                .source
                .as_ref()
                .and_then(|source| source.address.as_deref()),
        ),
    };
    format!("link {direction} {}", address.unwrap_or("no address"))
}

/// The protocol of a client whose first bytes are not AMQP's.
fn spoken(first: &[u8; 8]) -> &'static str {
    const MQTT_CONNECT: u8 = 0x10;
    let is_http = [
        &b"GET "[..],
        b"PUT ",
        b"POST",
        b"PATCH",
        b"DELE",
        b"HEAD",
        b"OPTI",
    ]
    .iter()
    .any(|method| first.starts_with(method));
    match first {
        _ if is_http => "the client speaks HTTP: this port is for AMQP, HTTPS has one of its own",
        [MQTT_CONNECT, ..] => {
            "the client speaks MQTT: this port is for AMQP, MQTT has one of its own"
        }
        _ => "the client does not speak AMQP 1.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_known_by_their_first_bytes() {
        for (first, expected) in [
            (b"GET /dev", "speaks HTTP"),
            (b"POST /tw", "speaks HTTP"),
            (b"\x10\x20\x00\x04MQTT", "speaks MQTT"),
            (b"AMQP\x00\x00\x09\x01", "not speak AMQP 1.0"),
        ] {
            assert!(spoken(first).contains(expected), "{first:?}");
        }
    }
}
