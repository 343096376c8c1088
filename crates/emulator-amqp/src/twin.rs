//! Twins: a device's requests over one link, answers and changes of desired properties over another. Both links of a device belong
//! together by their session and address.
//!
//! Reported properties are stored before the answer. The requests of one connection are carried out in order; those that arrive
//! while earlier ones are being stored are carried out together.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{AcceptOptions, Credit, LinkId};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::hub_error::status_description;
use drawspan_emulator_hub::twin_refusal::TwinRefusal;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::registry::{Change, Registry, RegistryError};
use drawspan_hub_model::throttle::OperationClass;
use drawspan_hub_model::twin::{self, Object};
use drawspan_hub_model::twins::TwinFailure;

use super::answers::Answers;
use super::device_session::Owner;
use super::error::refusal;
use crate::limits;

const OPERATION: &str = "operation";
const RESOURCE: &str = "resource";
const REPORTED: &str = "/properties/reported";
const DESIRED_NEWS: &str = "/notifications/twin/properties/desired";
const STATUS: Symbol = Symbol::from_static("status");
const VERSION: Symbol = Symbol::from_static("version");

/// The link over which a device gets answers, and what it wants to know.
#[derive(Debug)]
pub(super) struct TwinAnswers {
    pub(super) owner: Owner,
    pub(super) answers: Answers,
    /// The device wants to know of changes of its desired properties.
    pub(super) wants_news: bool,
}

/// A device's request.
#[derive(Debug)]
pub(super) struct Request {
    owner: Owner,
    /// The link for the answer.
    answers: LinkId,
    /// The request's id, returned unchanged with the answer.
    id: MessageId,
    operation: Result<Operation, TwinRefusal>,
}

#[derive(Debug)]
enum Operation {
    /// Read the twin.
    Get,
    /// Merge this into my reported properties, if they have this version.
    Report(Object, Option<u64>),
    /// Whether to tell me when my desired properties change.
    News(bool),
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) link: LinkId,
    pub(super) message: Bytes,
    id: MessageId,
    /// Whether the device wants notifications from now on; `None` leaves that unchanged.
    pub(super) wants_news: Option<bool>,
    /// The size of the twin that was read, if one was.
    pub(super) read_bytes: Option<usize>,
    /// The refusal, if it is one.
    pub(super) refused: Option<(ErrorCode, String)>,
}

/// A request that is to be refused.
pub(super) struct Unanswered {
    link: LinkId,
    id: MessageId,
}

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    waiting: VecDeque<Request>,
    /// Answers that wait until the changes they speak of are stored.
    pub(super) unstored: Option<Vec<Answer>>,
    /// When the store, which had too much to do, is asked again.
    pub(super) retry_at: Option<Duration>,
}

/// How the link for requests is accepted.
pub(super) fn accept_requests() -> AcceptOptions {
    AcceptOptions {
        max_message_bytes: Some(limits::TWIN_REQUEST_BYTES),
        credit: Some(Credit::Auto(limits::TWIN_REQUEST_CREDIT)),
        ..AcceptOptions::default()
    }
}

/// The notification to a device whose desired properties changed. It has no correlation id: that is how devices distinguish it from
/// answers.
pub(super) fn news(patch: Bytes) -> Bytes {
    Message::from_data(patch).to_bytes()
}

/// Carries requests out, in their order.
pub(super) fn carry_out(
    requests: Vec<Request>,
    registry: &mut Registry,
    now_unix_ms: u64,
) -> (Vec<Answer>, Vec<Change>) {
    let mut changes = Vec::new();
    let answers = requests
        .into_iter()
        .map(|request| {
            let (answer, change) = request.carry_out(registry, now_unix_ms);
            changes.extend(change);
            answer
        })
        .collect();
    (answers, changes)
}

impl TwinAnswers {
    pub(super) fn new(owner: Owner, link: LinkId) -> Self {
        Self {
            owner,
            answers: Answers::new(link, None),
            wants_news: false,
        }
    }
}

impl RequestQueue {
    /// Takes a request in, or answers at once that there are too many.
    pub(super) fn take(&mut self, request: Request) -> Option<Answer> {
        if self.waiting.len() >= limits::TWIN_REQUESTS_MAX {
            let text = "too many requests about twins wait on this connection";
            let refused = TwinRefusal(ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED, text.into());
            return Some(Answer::refusal(request.answers, request.id, &refused));
        }
        self.waiting.push_back(request);
        None
    }

    /// Requests to carry out now: none while others are being stored.
    pub(super) fn next_batch(&mut self) -> Vec<Request> {
        if self.unstored.is_some() || self.retry_at.is_some() {
            return Vec::new();
        }
        let count = self.waiting.len().min(limits::TWIN_BATCH);
        self.waiting.drain(..count).collect()
    }

    /// Takes back what could not be carried out.
    pub(super) fn put_back(&mut self, requests: Vec<Request>) {
        for request in requests.into_iter().rev() {
            self.waiting.push_front(request);
        }
    }
}

impl Request {
    /// Reads a request of `owner`, to be answered over `answers`.
    ///
    /// # Errors
    /// When it could not be answered.
    pub(super) fn read(message: &Message, owner: Owner, answers: LinkId) -> Result<Self, Error> {
        let properties = message.properties.as_ref();
        let id = properties.and_then(|properties| {
            let id = properties.correlation_id.as_ref();
            id.or(properties.message_id.as_ref()).cloned()
        });
        let Some(id) = id else {
            let text = "a request about a twin needs a correlation-id";
            let code = ErrorCode::ARGUMENT_NULL;
            return Err(refusal(condition::INVALID_FIELD, code, text));
        };
        Ok(Self {
            owner,
            answers,
            id,
            operation: operation(message),
        })
    }

    /// Who asks.
    pub(super) fn client(&self) -> &ClientId {
        &self.owner.client
    }

    /// What it counts as; `None` if it costs nothing.
    pub(super) fn class(&self) -> Option<OperationClass> {
        match self.operation {
            Ok(Operation::Get) => Some(OperationClass::TwinReads),
            Ok(Operation::Report(..)) => Some(OperationClass::TwinUpdates),
            Ok(Operation::News(_)) | Err(_) => None,
        }
    }

    /// What a refusal of it needs.
    pub(super) fn to_refuse(&self) -> Unanswered {
        Unanswered {
            link: self.answers,
            id: self.id.clone(),
        }
    }

    /// The answer when nothing can be stored any more.
    pub(super) fn not_stored(self) -> Answer {
        Answer::new(self.answers, self.id, 500, None, None).not_stored()
    }

    fn carry_out(self, registry: &mut Registry, now_unix_ms: u64) -> (Answer, Option<Change>) {
        let (link, id) = (self.answers, self.id);
        let operation = match self.operation {
            Ok(operation) => operation,
            Err(refused) => return (Answer::refusal(link, id, &refused), None),
        };
        let client = self.owner.client;
        let generation = registry.generation_id(&client);
        // Deleted, and created again under the same name: the link is about to end.
        let is_same = generation.is_some_and(|of| *of == self.owner.generation_id);
        let Some(twin) = registry.twin(&client).filter(|_| is_same) else {
            let refused = TwinRefusal::from(RegistryError::not_found(&client));
            return (Answer::refusal(link, id, &refused), None);
        };
        match operation {
            Operation::Get => {
                let body = twin.for_device().to_string();
                let bytes = body.len();
                let mut answer = Answer::new(link, id, 200, None, Some(body));
                answer.read_bytes = Some(bytes);
                (answer, None)
            }
            Operation::News(wanted) => {
                let mut answer = Answer::new(link, id, 200, None, None);
                answer.wants_news = Some(wanted);
                (answer, None)
            }
            Operation::Report(patch, version) => {
                match registry.report(&client, &patch, version, now_unix_ms) {
                    Ok(twin) => {
                        let version = twin.reported.version();
                        let desired = None;
                        let change = Change::Twin {
                            client,
                            twin,
                            desired,
                        };
                        (
                            Answer::new(link, id, 204, Some(version), None),
                            Some(change),
                        )
                    }
                    Err(error) => (Answer::refusal(link, id, &error.into()), None),
                }
            }
        }
    }
}

impl Unanswered {
    /// The answer.
    pub(super) fn refusal(self, code: ErrorCode, text: &str) -> Answer {
        Answer::refusal(self.link, self.id, &TwinRefusal(code, text.to_owned()))
    }
}

impl Answer {
    fn new(
        link: LinkId,
        id: MessageId,
        status: u16,
        version: Option<u64>,
        body: Option<String>,
    ) -> Self {
        // The C client takes these types and no others: `int` and `long`.
        let mut annotations = Map(vec![(Value::Symbol(STATUS), Value::Int(i32::from(status)))]);
        if let Some(version) = version {
            let version = Value::Long(i64::try_from(version).unwrap_or(i64::MAX));
            annotations.0.push((Value::Symbol(VERSION), version));
        }
        let message = Message {
            message_annotations: Some(annotations),
            properties: Some(Properties {
                correlation_id: Some(id.clone()),
                ..Properties::default()
            }),
            body: body.map_or(Body::Empty, |body| Body::Data(vec![body.into()])),
            ..Message::default()
        };
        Self {
            link,
            message: message.to_bytes(),
            id,
            wants_news: None,
            read_bytes: None,
            refused: None,
        }
    }

    /// Its body is JSON always: an old C# client reads it in any case.
    fn refusal(link: LinkId, id: MessageId, refused: &TwinRefusal) -> Self {
        let TwinRefusal(code, text) = refused;
        let body = status_description(*code, text);
        Self {
            refused: Some((*code, text.clone())),
            ..Self::new(link, id, code.http_status(), None, Some(body))
        }
    }

    /// The answer if the change could not be stored.
    pub(super) fn not_stored(self) -> Self {
        let refused = TwinRefusal::not_stored();
        Self::refusal(self.link, self.id, &refused)
    }
}

fn operation(message: &Message) -> Result<Operation, TwinRefusal> {
    let annotation = |name: &str| {
        let annotations = message.message_annotations.as_ref()?;
        annotations.get(name).and_then(Value::as_str)
    };
    let name = annotation(OPERATION).unwrap_or_default();
    let resource = annotation(RESOURCE).unwrap_or_default();
    let is = |operation: &str, of: &str| {
        name.eq_ignore_ascii_case(operation)
            && resource.trim_end_matches('/').eq_ignore_ascii_case(of)
    };
    if is("GET", "") {
        return Ok(Operation::Get);
    }
    if is("PATCH", REPORTED) {
        let patch = twin::parse_patch(&message.data()).map_err(TwinFailure::from)?;
        return Ok(Operation::Report(patch, version(message)));
    }
    if is("PUT", DESIRED_NEWS) {
        return Ok(Operation::News(true));
    }
    if is("DELETE", DESIRED_NEWS) {
        return Ok(Operation::News(false));
    }
    let text = "operation and resource are none that a twin has";
    Err(TwinRefusal(ErrorCode::INVALID_OPERATION, text.into()))
}

/// The version of the reported properties that the device means. C# writes a null when it means any.
fn version(message: &Message) -> Option<u64> {
    match message.message_annotations.as_ref()?.get("version")? {
        Value::Null => None,
        // There is no version 0: what cannot be a version matches none.
        version => Some(version.as_u64().unwrap_or(0)),
    }
}
