//! The twin: requests with answers, and notifications of changed desired properties, over one pair of links.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{CommandError, Credit, LinkId, Outgoing};
use drawspan_amqp::message::{Message, MessageId};
use drawspan_amqp::performative::{DeliveryTag, SenderSettleMode};
use drawspan_hub::address::DeviceFunction;
use drawspan_hub::{Failure, FailureKind};

use super::link_pair::{Pair, Purpose};
use super::twin_messages::{Operation, answer, answered, request};
use super::{Delivery, LinkContext, TwinReply, decode, not_attached};
use crate::connection::command::{SendFailure, TwinOperation};
use crate::connection::send_queue::failure_to_send;
use crate::downlink::Incoming;
use crate::limits;

const PURPOSE: Purpose = Purpose {
    function: DeviceFunction::Twin,
    sender: "drawspan-twin-sender",
    receiver: "drawspan-twin-receiver",
    prefix: "twin",
    settled: SenderSettleMode::Settled,
    credit: Credit::Auto(limits::TWIN_CREDIT),
};

#[derive(Debug)]
pub(super) struct Twin {
    pair: Pair,
    /// The next number in correlation ids, so that answers to requests over earlier links do not match.
    id: u64,
    /// Requests sent so far.
    count: u32,
    notifications: Notifications,
    /// Requests that wait for the links or for credit, oldest first.
    waiting: VecDeque<Ask>,
    /// Requests that wait for their answer.
    asked: Vec<Asked>,
    last_use: Duration,
}

/// Whether the hub notifies of changed desired properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notifications {
    Unasked,
    Asked,
    Confirmed,
}

#[derive(Debug)]
struct Ask {
    operation: Operation,
    whose: Whose,
    deadline: Duration,
}

#[derive(Debug)]
struct Asked {
    number: u32,
    whose: Whose,
    deadline: Duration,
}

/// The receiver of an answer.
#[derive(Debug)]
enum Whose {
    Caller(TwinReply),
    /// The subscription: without it the device does not get what it wants.
    Ours,
    Nobody,
}

impl Whose {
    fn fail(self, failure: SendFailure) {
        if let Self::Caller(reply) = self {
            reply.send(Err(failure));
        }
    }

    /// From now on the hub may have it.
    fn sent(self) -> Self {
        match self {
            Self::Caller(reply) => Self::Caller(reply.sent()),
            other => other,
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::Caller(reply) if reply.is_closed())
    }
}

impl Twin {
    pub(super) fn attach(at: &mut LinkContext<'_>) -> Result<Self, Failure> {
        Ok(Self {
            pair: Pair::attach(at, &PURPOSE)?,
            id: at.ids.next(),
            count: 0,
            notifications: Notifications::Unasked,
            waiting: VecDeque::new(),
            asked: Vec::new(),
            last_use: at.now,
        })
    }

    pub(super) fn detach(&self, at: &mut LinkContext<'_>) {
        self.pair.detach(at);
    }

    pub(super) fn owns(&self, link: LinkId) -> bool {
        self.pair.owns(link)
    }

    pub(super) fn on_attached(
        &mut self,
        at: &mut LinkContext<'_>,
        link: LinkId,
    ) -> Result<(), Failure> {
        self.pair.on_attached(link);
        self.flush(at)
    }

    /// Asks for notifications, once per pair of links, ahead of everything else.
    pub(super) fn subscribe(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        if self.notifications != Notifications::Unasked {
            return Ok(());
        }
        self.notifications = Notifications::Asked;
        self.waiting.push_front(Ask {
            operation: Operation::Subscribe,
            whose: Whose::Ours,
            deadline: own_deadline(at),
        });
        self.flush(at)
    }

    pub(super) fn unsubscribe(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        if self.notifications == Notifications::Unasked {
            return Ok(());
        }
        self.notifications = Notifications::Unasked;
        self.last_use = at.now;
        let ours = |whose: &Whose| matches!(whose, Whose::Ours);
        self.waiting.retain(|ask| !ours(&ask.whose));
        for asked in &mut self.asked {
            if ours(&asked.whose) {
                asked.whose = Whose::Nobody;
            }
        }
        self.waiting.push_back(Ask {
            operation: Operation::Unsubscribe,
            whose: Whose::Nobody,
            deadline: own_deadline(at),
        });
        self.flush(at)
    }

    pub(super) fn ask(
        &mut self,
        at: &mut LinkContext<'_>,
        operation: TwinOperation,
        deadline: Duration,
        reply: TwinReply,
    ) -> Result<(), Failure> {
        self.last_use = at.now;
        if self.waiting.len() + self.asked.len() >= limits::TWIN_REQUESTS_PER_DEVICE {
            reply.send(Err(SendFailure::Full));
            return Ok(());
        }
        self.waiting.push_back(Ask {
            operation: Operation::Of(operation),
            whose: Whose::Caller(reply),
            deadline,
        });
        self.flush(at)
    }

    /// Sends the requests for which there is credit and room.
    pub(super) fn flush(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        while !self.waiting.is_empty()
            && self.pair.may_send(at)
            && let Some(ask) = self.waiting.pop_front()
        {
            if ask.whose.is_gone() {
                continue;
            }
            if let Some(ask) = self.send(at, ask)? {
                self.waiting.push_front(ask);
                break;
            }
        }
        if self.waiting.is_empty() {
            // Twins are many, and most of them have no requests.
            self.waiting = VecDeque::new();
        }
        Ok(())
    }

    /// Returns what the connection has no room for.
    fn send(&mut self, at: &mut LinkContext<'_>, ask: Ask) -> Result<Option<Ask>, Failure> {
        let number = self.count;
        let payload = request(&ask.operation, self.id, number);
        let message = Outgoing {
            tag: DeliveryTag::from_u32(number),
            message_format: 0,
            // As all official clients do: the answer counts.
            settled: true,
            context: u64::from(number),
            payload: &payload,
        };
        match self.pair.send(at, &message) {
            Err(CommandError::QueueFull) => return Ok(Some(ask)),
            Ok(()) => self.asked.push(Asked {
                number,
                whose: ask.whose.sent(),
                deadline: ask.deadline,
            }),
            Err(error) if matches!(ask.whose, Whose::Ours) => {
                let text = format!("notifications could not be asked for: {error}");
                return Err(Failure::local(FailureKind::ConnectionLost, &text));
            }
            Err(error) => ask.whose.fail(failure_to_send(error)),
        }
        self.count = number.wrapping_add(1);
        Ok(None)
    }

    /// The hub has confirmed that it notifies of changes.
    pub(super) fn is_subscribed(&self) -> bool {
        self.notifications == Notifications::Confirmed
    }

    /// An answer, or a notification. Returns why there are to be no notifications, if the hub said so.
    pub(super) fn on_message(
        &mut self,
        at: &mut LinkContext<'_>,
        arrived: &Delivery<'_>,
    ) -> Option<Failure> {
        at.accept(arrived);
        let Ok(message) = Message::decode(arrived.payload) else {
            // Callers have their own deadlines.
            return None;
        };
        let properties = message.properties.as_ref();
        match properties.and_then(|properties| properties.correlation_id.as_ref()) {
            None => {
                notify(at, decode::data(&message.body));
                None
            }
            Some(correlation) => self.on_answer(at, correlation, &message),
        }
    }

    fn on_answer(
        &mut self,
        at: &mut LinkContext<'_>,
        correlation: &MessageId,
        message: &Message,
    ) -> Option<Failure> {
        let number = answered(self.id, correlation);
        let asked = |asked: &Asked| Some(asked.number) == number;
        let index = self.asked.iter().position(asked)?;
        self.last_use = at.now;
        let answer = answer(message);
        let whose = self.asked.swap_remove(index).whose;
        if self.asked.is_empty() {
            self.asked = Vec::new();
        }
        match (whose, answer) {
            (Whose::Caller(reply), answer) => {
                reply.send(answer.map_err(SendFailure::Refused));
            }
            (Whose::Ours, Err(failure)) => return Some(failure),
            (Whose::Ours, Ok(_)) => self.notifications = Notifications::Confirmed,
            (Whose::Nobody, _) => {}
        }
        None
    }

    /// The hub ended the links, or did not attach them: waiting callers get an error.
    pub(super) fn on_refused(self, at: &mut LinkContext<'_>, failure: &Failure) {
        self.detach(at);
        let unsent = if self.pair.is_up() {
            SendFailure::NotSent
        } else {
            SendFailure::Refused(failure.clone())
        };
        self.abandon(&unsent);
    }

    /// The links are gone, and their answers with them; unsent requests get this error.
    pub(super) fn abandon(self, unsent: &SendFailure) {
        for ask in self.waiting {
            ask.whose.fail(unsent.clone());
        }
        for asked in self.asked {
            asked.whose.fail(SendFailure::FateUnknown);
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self, wanted: bool) -> Option<Duration> {
        let waiting = self.waiting.iter().map(|ask| ask.deadline);
        let asked = self.asked.iter().map(|asked| asked.deadline);
        let idle = (!wanted && self.is_unused()).then(|| self.idle_at());
        let others = [self.pair.deadline(), idle].into_iter().flatten();
        waiting.chain(asked).chain(others).min()
    }

    /// Whether links that nothing but requests need are to go: unused for long, or never taken by the hub.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.pair.is_late(now) || (self.is_unused() && self.idle_at() <= now)
    }

    fn is_unused(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    fn idle_at(&self) -> Duration {
        self.last_use + Duration::from_millis(limits::TWIN_IDLE_MS)
    }

    /// Gives up what is overdue. Returns why there are to be no notifications, if that is among it.
    pub(super) fn look(&mut self, at: &mut LinkContext<'_>) -> Option<Failure> {
        if self.pair.is_late(at.now) && self.notifications != Notifications::Unasked {
            return Some(not_attached());
        }
        let mut lost = false;
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (late, rest): (VecDeque<_>, _) = waiting.partition(|ask| ask.deadline <= at.now);
        self.waiting = rest;
        for ask in late {
            lost |= matches!(ask.whose, Whose::Ours);
            ask.whose.fail(SendFailure::NotSent);
        }
        for asked in self.asked.extract_if(.., |asked| asked.deadline <= at.now) {
            lost |= matches!(asked.whose, Whose::Ours);
            let number = u64::from(asked.number);
            let unsent = at.connection.withdraw(self.pair.sender, number);
            asked.whose.fail(match unsent {
                true => SendFailure::NotSent,
                false => SendFailure::FateUnknown,
            });
        }
        lost.then(|| {
            let text = "the hub did not answer when asked for notifications";
            Failure::local(FailureKind::Timeout, text)
        })
    }
}

fn own_deadline(at: &LinkContext<'_>) -> Duration {
    at.now + Duration::from_millis(limits::ATTACH_TIMEOUT_MS)
}

/// Passes a change of desired properties on.
fn notify(at: &mut LinkContext<'_>, body: Bytes) {
    let incoming = Incoming::Desired {
        attempt: at.attempt,
        session: at.device_session(),
        body,
    };
    if at.inbox.offer(incoming).is_err() {
        at.inbox.miss_desired(at.attempt);
    }
}
