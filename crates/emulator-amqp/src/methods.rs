//! Direct methods: calls to a device over one link, its answers over another. Both links of a device belong together by
//! their session and address; the channel-correlation-id that clients give them is no id with every client.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use drawspan_amqp::engine::{AcceptOptions, CommandError, Connection, Credit, LinkId, Outgoing};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::DeliveryTag;
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator_hub::random;
use drawspan_emulator_hub::sessions::{CallFailure, MethodAnswer, MethodCall};
use drawspan_hub_model::limits::Limits;
use tokio::sync::oneshot;

use super::device_session::Owner;
use crate::limits;

const METHOD_NAME: &str = "IoThub-methodname";
const STATUS: &str = "IoThub-status";

/// The waiting caller.
type Caller = oneshot::Sender<Result<MethodAnswer, CallFailure>>;

/// The link over which a device gets its calls.
#[derive(Debug)]
pub(super) struct MethodCalls {
    pub(super) owner: Owner,
    link: LinkId,
    next_tag: u32,
    in_flight_max: usize,
    answer_bytes: usize,
    /// Calls that the device has no credit for yet.
    waiting: VecDeque<MethodCall>,
    /// By request id: calls that the device has not answered yet. Dropping one tells its caller that the device is gone.
    sent: HashMap<[u8; 16], Caller>,
}

/// How the link for answers is accepted.
pub(super) fn accept_answers(hub: &Limits) -> AcceptOptions {
    AcceptOptions {
        max_message_bytes: Some(hub.method_payload_bytes as u64),
        slack_bytes: limits::METHOD_SLACK_BYTES,
        credit: Some(Credit::Auto(limits::REQUEST_CREDIT)),
        ..AcceptOptions::default()
    }
}

impl MethodCalls {
    pub(super) fn new(owner: Owner, link: LinkId, hub: &Limits) -> Self {
        Self {
            owner,
            link,
            next_tag: 0,
            in_flight_max: hub.methods_in_flight,
            answer_bytes: hub.method_payload_bytes,
            waiting: VecDeque::new(),
            sent: HashMap::new(),
        }
    }

    /// Sends a call, or keeps it until there is credit.
    pub(super) fn call(&mut self, connection: &mut Connection, call: MethodCall) {
        self.waiting.retain(|call| !call.answer.is_closed());
        self.sent.retain(|_, caller| !caller.is_closed());
        if self.waiting.len() + self.sent.len() >= self.in_flight_max {
            return fail(call.answer, CallFailure::TooMany);
        }
        self.waiting.push_back(call);
        self.flush(connection);
    }

    pub(super) fn flush(&mut self, connection: &mut Connection) {
        while connection.credit(self.link) > 0 {
            let Some(call) = self.waiting.pop_front() else {
                return;
            };
            // The caller has given up: the device must not do it any more.
            if call.answer.is_closed() {
                continue;
            }
            // Without randomness there is no name for the call, and dropping it tells so.
            let Ok(id) = random::uuid() else { continue };
            let payload = request(id, &call);
            let tag = DeliveryTag::from_u32(self.next_tag);
            self.next_tag = self.next_tag.wrapping_add(1);
            // Settled: the answer tells more than an outcome would.
            let message = Outgoing {
                tag,
                message_format: 0,
                settled: true,
                context: 0,
                payload: &payload,
            };
            match connection.send(self.link, &message) {
                Ok(()) => {
                    self.sent.insert(id, call.answer);
                }
                Err(CommandError::MessageTooLarge) => {
                    fail(call.answer, CallFailure::RequestTooLarge)
                }
                Err(CommandError::QueueFull) => fail(call.answer, CallFailure::TooMany),
                Err(_) => return,
            }
        }
    }

    /// Passes a device's answer to its caller. A late or unexpected answer is dropped.
    pub(super) fn answered(&mut self, message: &Message) {
        let Some(caller) = correlation(message).and_then(|id| self.sent.remove(&id)) else {
            tracing::debug!(client = %self.owner.client, "an answer to no call, or a late one");
            return;
        };
        // The caller may be gone.
        let _ = caller.send(answer(message, self.answer_bytes));
    }
}

fn fail(caller: Caller, failure: CallFailure) {
    // The caller may be gone.
    let _ = caller.send(Err(failure));
}

/// The request id is an AMQP uuid, and the body a data section, because the C client takes nothing else.
fn request(id: [u8; 16], call: &MethodCall) -> Bytes {
    let message = Message {
        properties: Some(Properties {
            correlation_id: Some(MessageId::Uuid(id)),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![(
            Value::from(METHOD_NAME),
            Value::from(call.name.as_str()),
        )])),
        body: Body::Data(vec![call.payload.clone()]),
        ..Message::default()
    };
    message.to_bytes()
}

fn answer(message: &Message, max_bytes: usize) -> Result<MethodAnswer, CallFailure> {
    let properties = message.application_properties.as_ref();
    let status = properties
        .and_then(|properties| properties.get(STATUS))
        .and_then(status)
        .ok_or(CallFailure::BadAnswer(
            "it has no IoThub-status of type int",
        ))?;
    let payload = match &message.body {
        // Node's client writes `null` for a payload that was not given.
        Body::Empty | Body::Value(Value::Null) => Bytes::new(),
        Body::Data(_) => message.data(),
        _ => return Err(CallFailure::BadAnswer("its body is not data")),
    };
    MethodAnswer::new(status, payload, max_bytes)
}

/// Integers of any type, and their text: clients go by their language's idea of a number.
fn status(value: &Value) -> Option<i32> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    i32::try_from(number).ok()
}

fn correlation(message: &Message) -> Option<[u8; 16]> {
    match message.properties.as_ref()?.correlation_id.as_ref()? {
        MessageId::Uuid(id) => Some(*id),
        MessageId::Binary(bytes) => bytes.as_ref().try_into().ok(),
        MessageId::String(text) => parse_uuid(text),
        MessageId::Ulong(_) => None,
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(&digits, 16).ok();
    number.filter(|_| is_hex).map(u128::to_be_bytes)
}
