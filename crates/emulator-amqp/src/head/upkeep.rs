//! Changes made by others, and changes due to time.

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Connection, LinkId};
use drawspan_amqp::performative::{Error, condition};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::access::Denied;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::DisconnectReason;

use super::Head;
use crate::error::{denied, refusal};
use crate::limits;
use crate::links::Link;
use crate::readers;
use crate::service_send;
use crate::signals::{Notice, Push, Stored, Word};

impl Head {
    /// Does what others asked for.
    pub(super) fn look(&mut self, connection: &mut Connection, now: Duration) {
        // The clock may have been changed.
        connection.set_pace(self.shared.clock.scale(), now);
        self.sweep_when_due(now);
        if self.signals.is_stopping() {
            let error = Error::new(condition::CONNECTION_FORCED, "the emulator is stopping");
            self.closing = Some(DisconnectReason::HubStopped);
            connection.close(Some(error), now);
            return;
        }
        if self.hub.as_ref().is_some_and(|hub| hub.is_failing_over()) && self.closing.is_none() {
            self.closing = Some(DisconnectReason::FailingOver);
            connection.close(Some(failing_over()), now);
            return;
        }
        self.release(connection, now);
        for notice in self.signals.take_notices() {
            match notice {
                Notice::DeviceTaken(link) => {
                    let text = "another connection took the device over";
                    let code = ErrorCode::LINK_CREATION_CONFLICT;
                    let error = refusal(condition::LINK_STOLEN, code, text);
                    self.end_link(connection, link, DisconnectReason::Replaced, error);
                }
                Notice::ReaderTaken { link, by } => {
                    let _ = connection.detach(link, true, Some(readers::taken(by)));
                }
                Notice::Waiting(link) => self.hand_out(connection, link, now),
                Notice::Overrun(link) => {
                    let text = "too much waits to be sent over the link";
                    let error = Error::new(condition::DETACH_FORCED, text);
                    self.end_link(connection, link, DisconnectReason::ClientFault, error);
                }
                Notice::TwinsStored(stored) => self.twins_stored(connection, stored),
                Notice::DeviceChanged(link) => self.check_link(connection, link, None),
            }
        }
        for order in self.connection().take_orders() {
            self.obey(connection, order, now);
        }
        for stored in self.signals.take_stored() {
            answer(connection, stored);
        }
        if let Some(answer) = self.signals.take_registered() {
            self.on_registered(connection, answer);
        }
        for push in self.signals.take_pushes() {
            self.push(connection, push);
        }
        self.pump = true;
    }

    fn push(&mut self, connection: &mut Connection, push: Push) {
        match push {
            // Dropped with a link that is gone, which tells the caller.
            Push::Call { link, call } => {
                if let Some(Link::MethodCalls(calls)) = self.links.get_mut(link) {
                    calls.call(connection, call);
                }
            }
            Push::Desired { link, patch } => self.tell_desired(connection, link, patch),
        }
    }

    /// Has tokens looked at when the first of them expires.
    pub(super) fn sweep_when_due(&mut self, now: Duration) {
        self.sweep_for = self.access.look_at();
        let left = self.shared.clock.machine_time_until(self.sweep_for);
        // Tokens may last for ever.
        let left = left.map(|left| left.min(Duration::from_millis(limits::TOKEN_SWEEP_MAX_MS)));
        self.sweep_at = left.map(|left| now + left);
    }

    /// Ends what lived by a token that has expired when `elapsed` of the hub's time has passed.
    pub(super) fn sweep_tokens(
        &mut self,
        connection: &mut Connection,
        now: Duration,
        elapsed: Duration,
    ) {
        let has_expired = self.access.expire(elapsed);
        self.sweep_when_due(now);
        if !has_expired {
            return;
        }
        if self.access.is_empty() {
            // Later, and not with the links: Node's client comes back from links that are detached, and waits for ever after a close.
            let wait = match self.links.iter().next() {
                Some(_) => Duration::from_millis(limits::TOKENLESS_MS),
                None => Duration::ZERO,
            };
            self.close_at = Some(now + wait);
        }
        let links: Vec<_> = self.links.iter().map(|(id, _)| id).collect();
        for link in links {
            self.check_link(connection, link, Some(Denied::Expired));
        }
    }

    /// Closes the connection if its last token has expired and there is no other.
    pub(super) fn close_without_token(&mut self, connection: &mut Connection, now: Duration) {
        self.close_at = None;
        if self.access.is_empty() {
            let error = denied(Denied::Expired);
            self.closing = Some(DisconnectReason::TokenExpired);
            self.refused(Door::Protocol, "", &error);
            connection.close(Some(error), now);
        }
    }

    /// Ends the session of a client whose token has expired, before its links are detached: should the client be quick to attach
    /// again, that is a new session.
    fn end_expired(&mut self, client: &ClientId) {
        if let (Some(hub), Some(session)) = (&self.hub, self.clients.remove(client)) {
            session.end();
            hub.token_expired(client, &session);
        }
    }

    /// Ends a link that would be refused now, because of `why`, if that is known.
    fn check_link(&mut self, connection: &mut Connection, id: LinkId, why: Option<Denied>) {
        let Some(hub) = self.hub.clone() else { return };
        if let Err(reason) = self.still_allowed(&hub, id) {
            let why = why.unwrap_or(reason);
            let client = self.links.get_mut(id).and_then(|link| link.of_client());
            if let (Denied::Expired, Some((_, owner))) = (why, client) {
                self.end_expired(&owner.client);
            }
            self.end_link(connection, id, disconnect_reason(why), denied(why));
        }
    }

    fn still_allowed(&mut self, hub: &Arc<Hub>, id: LinkId) -> Result<(), Denied> {
        let link = match self.links.get_mut(id) {
            Some(Link::Events(reader)) => {
                let path = reader.path().to_owned();
                return self.check_service(hub, &path);
            }
            Some(Link::ServiceSend) => return self.check_service(hub, service_send::PATH),
            Some(Link::LockedDelivery(locked)) if let Some(path) = locked.service_path() => {
                return self.check_service(hub, path);
            }
            Some(link) => link,
            None => return Ok(()),
        };
        let Some((kind, owner)) = link.of_client() else {
            return Ok(());
        };
        let (_, now) = self.check_client(hub, &owner.client, kind)?;
        // Deleted, and created again under the same name.
        if now == owner.generation_id {
            Ok(())
        } else {
            Err(match owner.client.module {
                None => Denied::UnknownDevice,
                Some(_) => Denied::UnknownModule,
            })
        }
    }
}

/// The error that ends and refuses connections while the hub fails over.
pub(super) fn failing_over() -> Error {
    let text = "the hub is failing over to another region";
    refusal(
        condition::CONNECTION_FORCED,
        ErrorCode::HUB_FAILING_OVER,
        text,
    )
}

/// The reason of a disconnect for the client whose session ends for lack of a right.
fn disconnect_reason(denied: Denied) -> DisconnectReason {
    match denied {
        Denied::Expired => DisconnectReason::TokenExpired,
        Denied::DeviceDisabled => DisconnectReason::DeviceDisabled,
        Denied::UnknownDevice => DisconnectReason::DeviceDeleted,
        Denied::UnknownModule => DisconnectReason::ModuleDeleted,
        _ => DisconnectReason::AccessRevoked,
    }
}

/// Answers requests that the store has finished. A link that is gone meanwhile gets no answer.
fn answer(connection: &mut Connection, stored: Stored) {
    let Stored {
        link,
        delivery,
        word,
    } = stored;
    let _ = match word {
        Word::Receiver(state) => connection.settle(link, delivery, state),
        Word::Sender(state) => match connection.session_of(link) {
            Some(session) => connection.settle_sent(session, delivery, Some(state)),
            None => Ok(()),
        },
    };
}
