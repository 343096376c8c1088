//! Cloud-to-device messages: one at a time, each after the settlement of the one before, or on demand when a caller polls.

use std::time::Duration;

use drawspan_amqp::engine::{Credit, DeliveryId, LinkId, LinkOptions};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{Attach, DeliveryState, ReceiverSettleMode};
use drawspan_hub::address::{Address, DeviceFunction};
use drawspan_hub::{Failure, FailureKind, Outcome, Receive};

use super::{Delivery, LinkContext, decode, no_room};
use crate::connection::SendFailure;
use crate::connection::command::C2dOutcome;
use crate::connection::device::named;
use crate::connection::handler::failure_of;
use crate::connection::reply::Reply;
use crate::downlink::{C2dDelivery, Incoming};
use crate::limits;

#[derive(Debug)]
pub(super) struct C2d {
    link: LinkId,
    receive: Receive,
    /// A message was requested, where they come on demand.
    asked: bool,
    /// Credit went out with the link.
    attached_with_credit: bool,
    /// Deadline for the hub's attach; `None` once it has attached.
    attaching_until: Option<Duration>,
    /// The hub confirms outcomes, as it does for the .NET client: only so is it known whether its lock still held.
    confirms: bool,
    turn: Turn,
}

/// The side that acts next.
#[derive(Debug)]
enum Turn {
    /// No credit is given, and no message was requested.
    Nobody,
    /// No credit is given: there was no room for a message when one was requested.
    Withheld { look_at: Duration },
    /// The hub's: it may send one.
    Hub,
    /// The receiver's: the outcome of this one is due. Nothing is owed to the hub when it was settled when it came.
    Receiver {
        delivery: DeliveryId,
        settled: bool,
        /// When the hub's lock has ended.
        lock_until: Duration,
    },
    /// The hub has credit, but no longer for this message, whose lock ends by then.
    Left {
        delivery: DeliveryId,
        until: Duration,
    },
    /// The hub got the outcome, and has to confirm it.
    Confirming {
        delivery: DeliveryId,
        outcome: DeliveryState,
        reply: Reply,
        until: Duration,
    },
}

impl C2d {
    pub(super) fn attach(at: &mut LinkContext<'_>, receive: Receive) -> Result<Self, Failure> {
        let turn = turn(at, receive == Receive::Flowing);
        let credit = match turn {
            Turn::Hub => 1,
            _ => 0,
        };
        let address = Address::device(at.device, DeviceFunction::DeviceBound).to_string();
        let options =
            LinkOptions::receiver("drawspan-devicebound", address, Credit::Manual(credit));
        let options = LinkOptions {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..named(options)
        };
        let link = at.connection.attach(at.session, options);
        Ok(Self {
            link: link.map_err(no_room)?,
            receive,
            asked: false,
            attached_with_credit: credit > 0,
            attaching_until: Some(at.now + Duration::from_millis(limits::ATTACH_TIMEOUT_MS)),
            confirms: true,
            turn,
        })
    }

    /// A message that is not settled goes back to the hub, which delivers it again when its lock has ended.
    pub(super) fn detach(&mut self, at: &mut LinkContext<'_>) {
        at.detach(self.link);
        if let Turn::Confirming { reply, .. } = std::mem::replace(&mut self.turn, Turn::Hub) {
            reply.send(Err(SendFailure::FateUnknown));
        }
    }

    pub(super) fn abandon(self) {
        if let Turn::Confirming { reply, .. } = self.turn {
            reply.send(Err(SendFailure::FateUnknown));
        }
    }

    pub(super) fn owns(&self, link: LinkId) -> bool {
        self.link == link
    }

    pub(super) fn on_attached(&mut self, at: &mut LinkContext<'_>, link: LinkId, attach: &Attach) {
        if self.link == link {
            self.attaching_until = None;
            self.confirms = attach.rcv_settle_mode == ReceiverSettleMode::Second;
            if !self.attached_with_credit {
                self.next(at);
            }
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.attaching_until.is_none()
    }

    /// The hub did not take the link in time.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.attaching_until.is_some_and(|until| until <= now)
    }

    /// Messages come otherwise from now on.
    pub(super) fn receive(&mut self, at: &mut LinkContext<'_>, receive: Receive) {
        self.receive = receive;
        self.go_on(at);
    }

    /// Requests a message.
    pub(super) fn pull(&mut self, at: &mut LinkContext<'_>) {
        match self.turn {
            Turn::Nobody | Turn::Withheld { .. } => {
                self.asked = true;
                self.go_on(at);
            }
            // The next message is requested once the previous one is settled.
            Turn::Left { .. } | Turn::Confirming { .. } => self.asked = true,
            Turn::Hub | Turn::Receiver { .. } => {}
        }
    }

    /// Before the hub took the link there is nothing to give credit to.
    fn go_on(&mut self, at: &mut LinkContext<'_>) {
        if matches!(self.turn, Turn::Nobody) && self.is_up() {
            self.next(at);
        }
    }

    pub(super) fn on_message(&mut self, at: &mut LinkContext<'_>, arrived: &Delivery<'_>) {
        let Ok(message) = Message::decode(arrived.payload) else {
            // The message could not be decoded.
            let state = DeliveryState::Rejected(None);
            let _ = at.connection.settle(self.link, arrived.delivery, state);
            return self.next(at);
        };
        self.asked = false;
        self.turn = Turn::Receiver {
            delivery: arrived.delivery,
            settled: arrived.settled,
            lock_until: at.now + Duration::from_millis(limits::C2D_LOCK_MS),
        };
        at.inbox.put(Incoming::C2d {
            attempt: at.attempt,
            session: at.device_session(),
            delivery: C2dDelivery {
                link: self.link,
                delivery: arrived.delivery,
            },
            message: Box::new(decode::c2d(&message, &arrived.tag)),
        });
    }

    /// Sends the outcome of the message to the hub.
    pub(super) fn settle(&mut self, at: &mut LinkContext<'_>, outcome: &C2dOutcome, reply: Reply) {
        let (settled, lock_until) = match self.turn {
            Turn::Receiver {
                delivery,
                settled,
                lock_until,
            } if delivery == outcome.delivery.delivery && self.link == outcome.delivery.link => {
                (settled, lock_until)
            }
            _ => {
                reply.send(Err(SendFailure::Stale));
                return;
            }
        };
        let delivery = outcome.delivery.delivery;
        let Some(state) = state_of(outcome.outcome) else {
            self.turn = Turn::Left {
                delivery,
                until: lock_until,
            };
            reply.send(Ok(()));
            return;
        };
        if self.confirms && !settled {
            let told = at.connection.propose(self.link, delivery, state.clone());
            if told.is_ok() {
                self.turn = Turn::Confirming {
                    delivery,
                    outcome: state,
                    reply,
                    until: at.now + Duration::from_millis(limits::SETTLE_TIMEOUT_MS),
                };
                return;
            }
        }
        let told = settled || at.connection.settle(self.link, delivery, state).is_ok();
        reply.send(if told {
            Ok(())
        } else {
            Err(SendFailure::Stale)
        });
        self.next(at);
    }

    /// The hub settled a message: confirmed its outcome, or took it back.
    pub(super) fn on_settled(
        &mut self,
        at: &mut LinkContext<'_>,
        of: DeliveryId,
        state: Option<DeliveryState>,
    ) {
        match std::mem::replace(&mut self.turn, Turn::Hub) {
            Turn::Confirming {
                delivery,
                outcome,
                reply,
                ..
            } if delivery == of => {
                reply.send(confirmed(&outcome, state));
                self.next(at);
            }
            Turn::Receiver { delivery, .. } | Turn::Left { delivery, .. } if delivery == of => {
                self.next(at);
            }
            other => self.turn = other,
        }
    }

    /// Lets the hub send the next one, if there is room for it.
    pub(super) fn next(&mut self, at: &mut LinkContext<'_>) {
        self.turn = turn(at, self.asked || self.receive == Receive::Flowing);
        if matches!(self.turn, Turn::Hub) {
            // An error means that the link is gone, of which an event tells.
            let _ = at.connection.grant(self.link, 1);
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let turn = match self.turn {
            Turn::Withheld { look_at } => Some(look_at),
            Turn::Receiver { lock_until, .. } => Some(lock_until),
            Turn::Confirming { until, .. } | Turn::Left { until, .. } => Some(until),
            Turn::Nobody | Turn::Hub => None,
        };
        [self.attaching_until, turn].into_iter().flatten().min()
    }

    pub(super) fn look(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        match self.turn {
            // Before the hub took the link there is nothing to give credit to.
            Turn::Withheld { look_at } if look_at <= at.now && self.attaching_until.is_none() => {
                self.next(at);
            }
            Turn::Confirming { until, .. } if until <= at.now => self.replace(at)?,
            // Its lock has ended: the hub makes nothing of this, and here the delivery is over.
            Turn::Receiver {
                delivery,
                settled,
                lock_until,
            } if lock_until <= at.now => self.release(at, delivery, settled),
            Turn::Left { delivery, until } if until <= at.now => {
                self.release(at, delivery, false);
            }
            _ => {}
        }
        Ok(())
    }

    fn release(&mut self, at: &mut LinkContext<'_>, delivery: DeliveryId, settled: bool) {
        if !settled {
            let released = DeliveryState::Released;
            let _ = at.connection.settle(self.link, delivery, released);
        }
        self.next(at);
    }

    /// The hub did not confirm an outcome. It is sent once more, as the final disposition, and a new link replaces this one, so
    /// that the device gets its next message in any case.
    fn replace(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        if let Turn::Confirming {
            delivery, outcome, ..
        } = &self.turn
        {
            let _ = at.connection.settle(self.link, *delivery, outcome.clone());
        }
        self.detach(at);
        let asked = self.asked;
        *self = Self::attach(at, self.receive)?;
        if asked {
            self.pull(at);
        }
        Ok(())
    }
}

/// The side that acts next when no message is in progress.
fn turn(at: &LinkContext<'_>, asked: bool) -> Turn {
    if !asked {
        return Turn::Nobody;
    }
    if at.inbox.has_room() {
        return Turn::Hub;
    }
    Turn::Withheld {
        look_at: at.now + Duration::from_millis(limits::LOOK_INTERVAL_MS),
    }
}

/// The words of the official clients; `None` for an outcome that is not sent.
const fn state_of(outcome: Outcome) -> Option<DeliveryState> {
    match outcome {
        Outcome::Complete => Some(DeliveryState::Accepted),
        Outcome::Reject => Some(DeliveryState::Rejected(None)),
        Outcome::Abandon => Some(DeliveryState::Released),
        Outcome::Leave => None,
    }
}

/// The meaning of the hub's final disposition. Hubs repeat the outcome (an Edge hub always answers accepted); a hub that refuses it
/// answers rejected, with the reason.
fn confirmed(outcome: &DeliveryState, state: Option<DeliveryState>) -> Result<(), SendFailure> {
    match state {
        Some(DeliveryState::Rejected(Some(error))) => {
            let mut failure = failure_of(Some(&error));
            if error.condition.as_str() == "amqp:not-found" {
                failure.kind = FailureKind::LockLost;
            }
            Err(SendFailure::Refused(failure))
        }
        Some(DeliveryState::Rejected(None)) if !matches!(outcome, DeliveryState::Rejected(_)) => {
            let text = "the hub did not take the outcome of the message";
            Err(SendFailure::Refused(Failure::local(
                FailureKind::LockLost,
                text,
            )))
        }
        _ => Ok(()),
    }
}
