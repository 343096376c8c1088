//! Direct methods: requests come over one link, answers go over the other.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{CommandError, Credit, LinkId, Outgoing};
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::performative::{DeliveryTag, SenderSettleMode};
use drawspan_amqp::value::{Map, Value};
use drawspan_hub::Failure;
use drawspan_hub::address::DeviceFunction;

use super::link_pair::{Pair, Purpose};
use super::{Delivery, LinkContext, decode};
use crate::connection::command::MethodAnswer;
use crate::downlink::{Incoming, MethodRequestId};
use crate::limits;

/// Marks the outcome of an answer, which tells nothing: the hub has it or does not want it.
pub(in crate::connection) const METHOD_CONTEXT: u64 = u64::MAX - 1;

const PURPOSE: Purpose = Purpose {
    function: DeviceFunction::Methods,
    sender: "drawspan-methods-sender",
    receiver: "drawspan-methods-receiver",
    prefix: "methods",
    settled: SenderSettleMode::Mixed,
    credit: Credit::Manual(limits::METHODS_PER_DEVICE),
};

/// Application property with a method's name; the lower-case `m` is the hub's.
const NAME: &str = "IoThub-methodname";
/// Application property with an answer's status.
const STATUS: &str = "IoThub-status";
/// The answer to the hub's caller if there is no room for the request.
const TOO_BUSY: i32 = 503;
/// An answer without payload, as the Node client sends it.
const NO_PAYLOAD: &[u8] = b"null";

#[derive(Debug)]
pub(super) struct Methods {
    pair: Pair,
    /// Requests that are not answered, oldest first, and when the hub gives each up.
    pending: VecDeque<(MethodRequestId, Duration)>,
    /// Answers that wait for credit or room, and when the hub gives each up; no more than there were requests.
    answers: VecDeque<(Bytes, Duration)>,
    /// Requests that the hub may send now.
    credit: u32,
    next_tag: u32,
}

impl Methods {
    pub(super) fn attach(at: &mut LinkContext<'_>) -> Result<Self, Failure> {
        Ok(Self {
            pair: Pair::attach(at, &PURPOSE)?,
            pending: VecDeque::new(),
            answers: VecDeque::new(),
            credit: limits::METHODS_PER_DEVICE,
            next_tag: 0,
        })
    }

    pub(super) fn detach(&self, at: &mut LinkContext<'_>) {
        self.pair.detach(at);
    }

    pub(super) fn owns(&self, link: LinkId) -> bool {
        self.pair.owns(link)
    }

    pub(super) fn on_attached(&mut self, link: LinkId) {
        self.pair.on_attached(link);
    }

    pub(super) fn on_request(&mut self, at: &mut LinkContext<'_>, arrived: &Delivery<'_>) {
        at.accept(arrived);
        self.credit = self.credit.saturating_sub(1);
        if let Some((request, name, payload)) = read(arrived.payload) {
            let incoming = Incoming::Method {
                attempt: at.attempt,
                session: at.device_session(),
                request: request.clone(),
                name,
                payload,
            };
            let until = at.now + Duration::from_millis(limits::METHOD_LIFE_MS);
            if at.inbox.offer(incoming).is_ok() {
                self.pending.push_back((request, until));
            } else {
                let answer = encode(&request, TOO_BUSY, None);
                self.answers.push_back((answer, until));
                self.flush(at);
            }
        }
        self.refresh_credit(at);
    }

    /// A request came that could not be kept.
    pub(super) fn on_lost(&mut self, at: &mut LinkContext<'_>) {
        self.credit = self.credit.saturating_sub(1);
        self.refresh_credit(at);
    }

    /// Answers a request, once.
    pub(super) fn answer(&mut self, at: &mut LinkContext<'_>, answer: MethodAnswer) {
        let asked = |(request, _): &(MethodRequestId, Duration)| *request == answer.request;
        let index = self.pending.iter().position(asked);
        let Some((request, until)) = index.and_then(|index| self.pending.remove(index)) else {
            return;
        };
        let encoded = encode(&request, answer.status, answer.payload);
        self.answers.push_back((encoded, until));
        self.flush(at);
        self.refresh_credit(at);
    }

    /// Sends the answers for which there is credit and room.
    pub(super) fn flush(&mut self, at: &mut LinkContext<'_>) {
        while !self.answers.is_empty()
            && self.pair.may_send(at)
            && let Some((payload, until)) = self.answers.pop_front()
        {
            let message = Outgoing {
                tag: DeliveryTag::from_u32(self.next_tag),
                message_format: 0,
                settled: false,
                context: METHOD_CONTEXT,
                payload: &payload,
            };
            match self.pair.send(at, &message) {
                Err(CommandError::QueueFull) => {
                    self.answers.push_front((payload, until));
                    return;
                }
                // One that cannot be sent is missed by the hub's caller, after its time.
                Ok(()) | Err(_) => self.next_tag = self.next_tag.wrapping_add(1),
            }
        }
    }

    /// Lets the hub send as many as there may be without an answer.
    fn refresh_credit(&mut self, at: &mut LinkContext<'_>) {
        let taken = u32::try_from(self.pending.len() + self.answers.len()).unwrap_or(u32::MAX);
        let free = limits::METHODS_PER_DEVICE.saturating_sub(taken);
        if self.credit <= free / 2 && at.connection.grant(self.pair.receiver, free).is_ok() {
            self.credit = free;
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let asked = self.pending.front().map(|(_, until)| *until);
        let answered = self.answers.front().map(|(_, until)| *until);
        let all = [self.pair.deadline(), asked, answered];
        all.into_iter().flatten().min()
    }

    pub(super) fn is_up(&self) -> bool {
        self.pair.is_up()
    }

    /// The hub did not take the links in time.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.pair.is_late(now)
    }

    pub(super) fn look(&mut self, at: &mut LinkContext<'_>) {
        self.pending.retain(|(_, until)| *until > at.now);
        self.answers.retain(|(_, until)| *until > at.now);
        self.flush(at);
        self.refresh_credit(at);
    }
}

/// Decodes a method request. `None` if it has no correlation id, so no response could be sent.
fn read(payload: &Bytes) -> Option<(MethodRequestId, String, Bytes)> {
    let message = Message::decode(payload).ok()?;
    let request = message.properties.as_ref()?.correlation_id.clone()?;
    let name = message.application_properties.as_ref()?.get(NAME);
    let name = name.and_then(Value::as_str)?.to_owned();
    Some((MethodRequestId(request), name, decode::data(&message.body)))
}

fn encode(request: &MethodRequestId, status: i32, payload: Option<Bytes>) -> Bytes {
    let payload = payload.unwrap_or(Bytes::from_static(NO_PAYLOAD));
    let message = Message {
        properties: Some(Properties {
            correlation_id: Some(request.0.clone()),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![(Value::from(STATUS), Value::Int(status))])),
        body: Body::Data(vec![payload]),
        ..Message::default()
    };
    message.to_bytes()
}
