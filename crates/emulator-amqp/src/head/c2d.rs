//! Messages to devices: in from services, out to devices, and feedback on them.

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Connection, DeliveryId, LinkId};
use drawspan_amqp::performative::{DeliveryState, condition};
use drawspan_emulator_hub::faults::Operation;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::c2d::NewMessage;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_store::StoreError;

use super::Head;
use super::messages::Arrived;
use crate::error::refusal;
use crate::events::Pumped;
use crate::faulted::faulted;
use crate::limits;
use crate::links::Link;
use crate::locked_delivery::Said;
use crate::service_send;
use crate::signals::{Stored, Word};

impl Head {
    /// Takes a service's message in. It is accepted once it is stored.
    pub(super) fn on_message_to_device(
        &mut self,
        connection: &mut Connection,
        hub: &Arc<Hub>,
        arrived: &Arrived,
    ) {
        // The sender counts by the machine's time.
        let now = hub.clock().machine_unix_ms();
        let read = service_send::read(arrived.message_format, &arrived.payload, hub.limits(), now);
        let read = read.and_then(|(device, mut message)| {
            let client = ClientId::from(&device);
            let faults = &self.shared.faults;
            if let Some(code) = faults.refusal(Operation::C2d, hub.host(), Some(&client)) {
                return Err(faulted(code));
            }
            let expires = message.expires_unix_ms;
            message.expires_unix_ms = expires.map(|at| hub.clock().of_machine(at));
            Ok((device, message))
        });
        match read {
            Ok(message) => self.take_message_to_device(connection, hub, arrived, message),
            Err(error) => self.reject(connection, arrived, "message to a device", error),
        }
    }

    /// Has a message stored for its device, or says why not.
    pub(super) fn send_to_device(
        &self,
        connection: &mut Connection,
        hub: &Arc<Hub>,
        owed: Option<(LinkId, DeliveryId)>,
        (device, message): (DeviceId, NewMessage),
    ) {
        let signals = Arc::clone(&self.signals);
        let done = move |result: Result<(), StoreError>| {
            let word = Word::Receiver(end(result));
            if let Some((link, delivery)) = owed {
                signals.stored(Stored {
                    link,
                    delivery,
                    word,
                });
            }
        };
        if let Err(error) = hub.send_message(&device, message, done) {
            let error = service_send::refused(error);
            self.refused(Door::Message, "message to a device", &error);
            if let Some((link, delivery)) = owed {
                // A link that is gone meanwhile takes no answer.
                let _ = connection.settle(link, delivery, DeliveryState::Rejected(Some(error)));
            }
        }
    }

    /// Takes a receiver's word on what it was handed.
    pub(super) fn on_outcome(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        said: Said,
        now: Duration,
    ) {
        let (Some(hub), Some(Link::LockedDelivery(locked))) = (&self.hub, self.links.get_mut(link))
        else {
            return;
        };
        if locked.hear(connection, hub, &self.signals, said) == Pumped::More {
            self.hand_out_soon(now);
        }
    }

    /// Delivers messages over one link.
    pub(super) fn hand_out(&mut self, connection: &mut Connection, link: LinkId, now: Duration) {
        let (Some(hub), Some(Link::LockedDelivery(locked))) = (&self.hub, self.links.get_mut(link))
        else {
            return;
        };
        if locked.pump(connection, hub, &self.signals) == Pumped::More {
            self.hand_out_soon(now);
        }
    }

    /// Delivers messages over all links, because one of them could not continue.
    pub(super) fn hand_out_all(&mut self, connection: &mut Connection, now: Duration) {
        self.hand_out_at = None;
        let links: Vec<_> = self.links.iter().map(|(id, _)| id).collect();
        for link in links {
            self.hand_out(connection, link, now);
        }
    }

    fn hand_out_soon(&mut self, now: Duration) {
        self.hand_out_at
            .get_or_insert(now + Duration::from_millis(limits::READ_PAUSE_MS));
    }
}

fn end(result: Result<(), StoreError>) -> DeliveryState {
    match result {
        Ok(()) => DeliveryState::Accepted,
        Err(error) => {
            tracing::error!(%error, "a message to a device could not be stored");
            let text = "the message was not stored";
            let code = ErrorCode::SERVER_ERROR;
            DeliveryState::Rejected(Some(refusal(condition::INTERNAL_ERROR, code, text)))
        }
    }
}
