//! Links that deliver messages under locks: those of devices, and those for feedback and file notifications.
//!
//! A receiver that settles first is finished with a message when it settles; one that settles second waits for the hub, which
//! answers once the outcome is stored, or reports that the lock was lost (specification 2.6.12).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use drawspan_amqp::engine::{CommandError, Connection, DeliveryId, LinkId, Outgoing};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Error, condition};
use drawspan_emulator_hub::hub::{Hub, SettleError};
use drawspan_hub::ErrorCode;
use drawspan_hub_model::c2d::{LockToken, Outcome};
use drawspan_hub_store::{NoSlot, StoreError};

use super::c2d_message;
use super::device_session::Owner;
use super::error::{LOCK_LOST, refusal};
use super::events::Pumped;
use super::receivers::ReceiverSlot;
use super::signals::{Signals, Stored, Word};
use super::{feedback, file_notification};
use crate::limits;

/// A link that delivers under locks.
#[derive(Debug)]
pub(super) struct LockedDelivery {
    link: LinkId,
    queue: Queue,
    /// Whether the receiver wants messages settled: they are done with when they are sent.
    settled: bool,
    drain: bool,
    next_context: u64,
    /// The messages at the receiver, by the engine's context.
    out: HashMap<u64, LockToken>,
    /// The receiver's settlements while nothing could be stored.
    unheard: Vec<Said>,
}

/// Something to be handed out.
struct Next {
    token: LockToken,
    sequence: u64,
    payload: Bytes,
}

/// The kind of messages that are delivered.
#[derive(Debug)]
pub(super) enum Queue {
    /// Messages to a device.
    Device(Owner),
    /// Feedback to services.
    Feedback(#[expect(dead_code, reason = "dropping it is its use")] ReceiverSlot),
    /// News of uploaded files to services.
    FileNotifications(#[expect(dead_code, reason = "dropping it is its use")] ReceiverSlot),
}

/// A receiver's word on what it was handed.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) delivery: DeliveryId,
    pub(super) context: u64,
    pub(super) state: Option<DeliveryState>,
    /// Whether the receiver is done with it, as opposed to waiting for the hub.
    pub(super) settled: bool,
}

impl LockedDelivery {
    pub(super) fn new(link: LinkId, queue: Queue, settled: bool) -> Self {
        Self {
            link,
            queue,
            settled,
            drain: false,
            next_context: 0,
            out: HashMap::new(),
            unheard: Vec::new(),
        }
    }

    /// The device that the messages are for, if they are for one.
    pub(super) fn owner(&self) -> Option<&Owner> {
        match &self.queue {
            Queue::Device(owner) => Some(owner),
            Queue::Feedback(_) | Queue::FileNotifications(_) => None,
        }
    }

    /// The path that a service's token must cover, if the messages are for services.
    pub(super) fn service_path(&self) -> Option<&'static str> {
        match &self.queue {
            Queue::Device(_) => None,
            Queue::Feedback(_) => Some(feedback::PATH),
            Queue::FileNotifications(_) => Some(file_notification::PATH),
        }
    }

    /// The receiver wants what there is now, and its credit used up then.
    pub(super) fn drain(&mut self) {
        self.drain = true;
    }

    /// Delivers waiting messages, as far as credit allows.
    pub(super) fn pump(
        &mut self,
        connection: &mut Connection,
        hub: &Hub,
        signals: &Arc<Signals>,
    ) -> Pumped {
        for said in std::mem::take(&mut self.unheard) {
            self.hear(connection, hub, signals, said);
        }
        while connection.credit(self.link) > 0 && self.out.len() < limits::C2D_UNSETTLED_MAX {
            if connection.waiting_bytes() > limits::READ_EVENT_BYTES {
                return Pumped::More;
            }
            let Some(next) = self.next(hub) else {
                break;
            };
            if !self.send(connection, hub, &next) {
                return Pumped::More;
            }
        }
        if std::mem::take(&mut self.drain) {
            // An error means that the link is gone, of which an event tells.
            let _ = connection.drained(self.link);
        }
        match self.unheard.is_empty() {
            true => Pumped::Idle,
            false => Pumped::More,
        }
    }

    /// Takes the receiver's word.
    pub(super) fn hear(
        &mut self,
        connection: &mut Connection,
        hub: &Hub,
        signals: &Arc<Signals>,
        said: Said,
    ) -> Pumped {
        let Some(token) = self.out.remove(&said.context) else {
            return Pumped::Idle;
        };
        let Some(outcome) = outcome(said.state.as_ref()) else {
            // Settled without a word on what became of it: its lock runs out, and it waits again.
            return Pumped::Idle;
        };
        let again = said.clone();
        let refused = match self.settle(hub, signals, token, outcome, said) {
            Ok(()) => return Pumped::Idle,
            Err(SettleError::Store(NoSlot::Full)) => {
                self.out.insert(again.context, token);
                self.unheard.push(again);
                return Pumped::More;
            }
            Err(SettleError::LockLost) => lock_lost(),
            Err(SettleError::Store(NoSlot::Closed | NoSlot::Failing)) => not_stored(),
        };
        if again.settled {
            tracing::debug!(hub = %hub.host(), "an outcome came too late");
        } else if let Some(session) = connection.session_of(self.link) {
            let state = DeliveryState::Rejected(Some(refused));
            // An error means that the session is gone, of which an event tells.
            let _ = connection.settle_sent(session, again.delivery, Some(state));
        }
        Pumped::Idle
    }

    fn settle(
        &self,
        hub: &Hub,
        signals: &Arc<Signals>,
        token: LockToken,
        outcome: Outcome,
        said: Said,
    ) -> Result<(), SettleError> {
        let (link, signals) = (self.link, Arc::clone(signals));
        let done = move |result: Result<(), StoreError>| {
            if said.settled {
                return;
            }
            let state = match result {
                Ok(()) => said.state,
                Err(_) => Some(DeliveryState::Rejected(Some(not_stored()))),
            };
            if let Some(state) = state {
                signals.stored(Stored {
                    link,
                    delivery: said.delivery,
                    word: Word::Sender(state),
                });
            }
        };
        match &self.queue {
            Queue::Device(owner) => hub.settle_message(&owner.client.device, token, outcome, done),
            Queue::Feedback(_) => hub.settle_feedback(token, outcome, done),
            Queue::FileNotifications(_) => hub.settle_file_notification(token, outcome, done),
        }
    }

    fn next(&self, hub: &Hub) -> Option<Next> {
        let next = match &self.queue {
            Queue::Device(owner) => hub.lock_message(&owner.client.device).map(|locked| {
                locked.map(|(token, message)| {
                    let payload = c2d_message::encode(&message, token);
                    (token, message.sequence, Ok(payload))
                })
            }),
            Queue::Feedback(_) => hub.lock_feedback().map(|locked| {
                locked.map(|(token, batch)| (token, batch.sequence, feedback::encode(&batch, hub)))
            }),
            Queue::FileNotifications(_) => hub.lock_file_notification().map(|locked| {
                locked.map(|(token, queued)| {
                    let payload = file_notification::encode(&queued, hub);
                    (token, queued.sequence, payload)
                })
            }),
        };
        match next {
            Ok(Some((token, sequence, Ok(payload)))) => Some(Next {
                token,
                sequence,
                payload,
            }),
            Ok(None) => None,
            Ok(Some((_, _, Err(error)))) => {
                tracing::error!(hub = %hub.host(), %error, "a message for services cannot be written");
                None
            }
            Err(error) => {
                tracing::error!(hub = %hub.host(), %error, "messages cannot be handed out");
                None
            }
        }
    }

    /// False when it must be sent again later.
    fn send(&mut self, connection: &mut Connection, hub: &Hub, next: &Next) -> bool {
        let token = next.token;
        let Some(tag) = DeliveryTag::new(&token.0) else {
            return false;
        };
        let context = self.next_context;
        let message = Outgoing {
            tag,
            message_format: 0,
            settled: self.settled,
            context,
            payload: &next.payload,
        };
        match connection.send(self.link, &message) {
            Ok(()) => {
                self.next_context += 1;
                if let Queue::Device(owner) = &self.queue {
                    hub.message_delivered(&owner.client.device, next.sequence);
                }
                self.sent(hub, context, token);
                true
            }
            Err(CommandError::MessageTooLarge) => {
                // Its lock keeps it out of the way of others, for a while.
                tracing::warn!(hub = %hub.host(), "a message is larger than its receiver takes");
                true
            }
            Err(_) => {
                self.release(hub, token);
                false
            }
        }
    }

    fn sent(&mut self, hub: &Hub, context: u64, token: LockToken) {
        if !self.settled {
            self.out.insert(context, token);
            return;
        }
        let settled = match &self.queue {
            Queue::Device(owner) => {
                hub.settle_message(&owner.client.device, token, Outcome::Complete, |_| {})
            }
            Queue::Feedback(_) => hub.settle_feedback(token, Outcome::Complete, |_| {}),
            Queue::FileNotifications(_) => {
                hub.settle_file_notification(token, Outcome::Complete, |_| {})
            }
        };
        if let Err(error) = settled {
            tracing::warn!(hub = %hub.host(), ?error, "a message that was sent settled will be sent again");
        }
    }

    fn release(&self, hub: &Hub, token: LockToken) {
        match &self.queue {
            Queue::Device(owner) => hub.release_message(&owner.client.device, token),
            Queue::Feedback(_) => hub.release_feedback(token),
            Queue::FileNotifications(_) => hub.release_file_notification(token),
        }
    }
}

/// The meaning of an AMQP state. Official clients abandon by `released`; `modified` means the same with more words.
fn outcome(state: Option<&DeliveryState>) -> Option<Outcome> {
    match state? {
        DeliveryState::Accepted => Some(Outcome::Complete),
        DeliveryState::Rejected(_) => Some(Outcome::Reject),
        DeliveryState::Released | DeliveryState::Modified { .. } => Some(Outcome::Abandon),
        DeliveryState::Received { .. } | DeliveryState::Other(_) => None,
    }
}

fn lock_lost() -> Error {
    let code = ErrorCode::DEVICE_MESSAGE_LOCK_LOST;
    refusal(LOCK_LOST, code, "the lock on the message was lost")
}

fn not_stored() -> Error {
    let text = "the outcome was not stored";
    refusal(condition::INTERNAL_ERROR, ErrorCode::SERVER_ERROR, text)
}
