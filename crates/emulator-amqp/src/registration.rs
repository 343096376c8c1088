//! A device that registers at DPS: it sends requests over one link and gets answers over another, both at the address
//! `{id scope}/registrations/{registration id}`.
//!
//! The service carries out the requests of a connection one by one: clients of the C stack send no correlation id, so that the
//! order of the answers tells which request each is for. A refusal is the outcome of the request's delivery.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use drawspan_amqp::engine::{AcceptOptions, Connection, Credit, DeliveryId, LinkId, SessionId};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{Attach, DeliveryState, Error, Role, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::dps::requests::{Answer, Caller, NOT_FOUND, Refusal};
use drawspan_hub::address;
use drawspan_hub_model::x509::Presented;

use super::answers::Answers;
use super::error::{ARGUMENT_ERROR, THROTTLED};
use crate::limits::{
    REGISTRATION_BODY_BYTES, REGISTRATION_CREDIT, REGISTRATION_REQUESTS_MAX,
    REGISTRATION_SLACK_BYTES,
};

/// A link's property.
const API_VERSION: &str = "com.microsoft:api-version";
const OPERATION_TYPE: &str = "iotdps-operation-type";
const OPERATION_ID: &str = "iotdps-operation-id";
const REGISTER: &str = "iotdps-register";
const OPERATION_STATUS: &str = "iotdps-get-operationstatus";
/// The C# client looks for the first spelling, those of Node and C for the second.
const RETRY_AFTER: [&str; 2] = ["Retry-After", "retry-after"];

/// The device, by the user name and password of SASL PLAIN, or by the address of its first link and its certificate.
pub(super) struct Identity {
    id_scope: String,
    id: String,
    token: Option<String>,
    certificate: Option<Arc<Presented>>,
}

/// The client of a connection.
pub(super) struct Registration {
    identity: Arc<Identity>,
    /// By session: where the client gets its answers.
    pub(super) answers: HashMap<SessionId, Answers>,
    waiting: VecDeque<Request>,
    /// The request that the service is carrying out.
    under_way: Option<Asked>,
}

/// A link for requests.
#[derive(Debug)]
pub(super) struct RegistrationRequests {
    api_version: Option<Arc<str>>,
}

/// A link of a device that registers.
#[derive(Debug)]
pub(super) enum RegistrationLink {
    /// Its requests.
    Requests(RegistrationRequests),
    /// Answers to them.
    Answers,
}

/// A request that the service has not begun with.
struct Request {
    asked: Asked,
    api_version: Option<Arc<str>>,
    operation: Operation,
}

/// What a device asks for.
pub(super) enum Operation {
    /// Register it; the body is JSON.
    Register(Bytes),
    /// The status of the operation of this id.
    Status(String),
}

/// A request to carry out now.
pub(super) struct Next {
    pub(super) operation: Operation,
    pub(super) identity: Arc<Identity>,
    pub(super) api_version: Option<Arc<str>>,
}

/// The delivery of a request.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) link: LinkId,
    /// The delivery, if its sender waits for an outcome.
    pub(super) owed: Option<DeliveryId>,
    pub(super) session: Option<SessionId>,
    /// Returned unchanged with the answer.
    correlation_id: Option<MessageId>,
}

impl Identity {
    pub(super) fn by_token(id_scope: &str, id: &str, token: &str) -> Self {
        Self {
            id_scope: id_scope.to_owned(),
            id: id.to_owned(),
            token: Some(token.to_owned()),
            certificate: None,
        }
    }

    /// Of a client that brings no token; the address says who it is. `None` if it is no registration's.
    pub(super) fn by_certificate(attach: &Attach, certificate: Arc<Presented>) -> Option<Self> {
        let (id_scope, id) = address_of(attach).and_then(address::parse_registration)?;
        Some(Self {
            id_scope,
            id,
            token: None,
            certificate: Some(certificate),
        })
    }

    /// The id scope that the device named.
    pub(super) fn id_scope(&self) -> &str {
        &self.id_scope
    }

    /// The device's registration.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The device as it makes a request.
    pub(super) fn caller<'c>(&'c self, api_version: Option<&'c str>) -> Caller<'c> {
        Caller {
            id_scope: &self.id_scope,
            registration: &self.id,
            token: self.token.as_deref(),
            certificate: self.certificate.as_deref(),
            api_version,
        }
    }
}

impl Registration {
    /// Without links.
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity: Arc::new(identity),
            answers: HashMap::new(),
            waiting: VecDeque::new(),
            under_way: None,
        }
    }

    /// The device's registration.
    pub(super) fn id(&self) -> &str {
        self.identity.id()
    }

    /// Takes a link in, or says why the device may not have it.
    pub(super) fn take_link(
        &mut self,
        session: SessionId,
        id: LinkId,
        attach: &Attach,
    ) -> Result<(RegistrationLink, AcceptOptions), Refusal> {
        let own = address_of(attach)
            .and_then(address::parse_registration)
            .is_some_and(|(id_scope, id)| self.is_own(&id_scope, &id));
        if !own {
            let text = "The link's address is not the registration that the device came as";
            return Err(Refusal::new(NOT_FOUND, text));
        }
        if attach.role == Role::Receiver {
            self.answers.insert(session, Answers::new(id, None));
            return Ok((RegistrationLink::Answers, AcceptOptions::default()));
        }
        let properties = attach.properties.as_ref();
        let api_version = properties.and_then(|properties| properties.get(API_VERSION));
        let requests = RegistrationRequests {
            api_version: api_version.and_then(Value::as_str).map(Arc::from),
        };
        let options = AcceptOptions {
            max_message_bytes: Some(REGISTRATION_BODY_BYTES as u64 + REGISTRATION_SLACK_BYTES),
            credit: Some(Credit::Auto(REGISTRATION_CREDIT)),
            ..AcceptOptions::default()
        };
        Ok((RegistrationLink::Requests(requests), options))
    }

    /// Takes a request in, or says why it is refused.
    pub(super) fn take(
        &mut self,
        requests: &RegistrationRequests,
        mut asked: Asked,
        message: &Message,
    ) -> Result<(), Refusal> {
        if self.waiting.len() >= REGISTRATION_REQUESTS_MAX {
            return Err(Refusal::too_many());
        }
        let has_answers = asked
            .session
            .is_some_and(|session| self.answers.contains_key(&session));
        if !has_answers {
            return Err(Refusal::invalid(
                "There is no link for answers on this session",
            ));
        }
        let properties = message.properties.as_ref();
        asked.correlation_id = properties.and_then(|properties| properties.correlation_id.clone());
        self.waiting.push_back(Request {
            operation: Operation::read(message)?,
            api_version: requests.api_version.clone(),
            asked,
        });
        Ok(())
    }

    /// The request to carry out now, if there is one, and the service is not carrying out another.
    pub(super) fn next(&mut self) -> Option<Next> {
        if self.under_way.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        self.under_way = Some(request.asked);
        Some(Next {
            operation: request.operation,
            identity: Arc::clone(&self.identity),
            api_version: request.api_version,
        })
    }

    /// The request that the service was carrying out.
    pub(super) fn done(&mut self) -> Option<Asked> {
        self.under_way.take()
    }

    /// Sends the answer to a request.
    pub(super) fn answer(&mut self, connection: &mut Connection, asked: &Asked, answer: &Answer) {
        let answers = asked
            .session
            .and_then(|session| self.answers.get_mut(&session));
        // The link may be gone meanwhile.
        if let Some(answers) = answers {
            answers.send(connection, encode(answer, asked.correlation_id.clone()));
        }
    }

    fn is_own(&self, id_scope: &str, id: &str) -> bool {
        let Identity {
            id_scope: own_scope,
            id: own,
            ..
        } = &*self.identity;
        id_scope.eq_ignore_ascii_case(own_scope) && id.eq_ignore_ascii_case(own)
    }
}

/// The address at the emulator's end of a link.
fn address_of(attach: &Attach) -> Option<&str> {
    match attach.role {
        Role::Sender => attach
            .target
            .as_ref()
            .and_then(|target| target.address.as_deref()),
        Role::Receiver => attach
            .source
            .as_ref()
            .and_then(|source| source.address.as_deref()),
    }
}

impl Operation {
    fn read(message: &Message) -> Result<Self, Refusal> {
        let properties = message.application_properties.as_ref();
        let text = |name| {
            let value = properties.and_then(|properties| properties.get(name));
            value.and_then(Value::as_str)
        };
        match text(OPERATION_TYPE) {
            Some(REGISTER) => Ok(Self::Register(body(message)?)),
            Some(OPERATION_STATUS) => match text(OPERATION_ID) {
                Some(id) => Ok(Self::Status(id.to_owned())),
                None => Err(Refusal::invalid(format!("{OPERATION_ID} is missing"))),
            },
            _ => {
                let text = format!("{OPERATION_TYPE} is neither {REGISTER} nor {OPERATION_STATUS}");
                Err(Refusal::invalid(text))
            }
        }
    }
}

impl Asked {
    /// The delivery of a request, whose message has not been read yet.
    pub(super) const fn new(
        link: LinkId,
        owed: Option<DeliveryId>,
        session: Option<SessionId>,
    ) -> Self {
        Self {
            link,
            owed,
            session,
            correlation_id: None,
        }
    }

    /// Accepts the request. Settled before it is answered, as clients of the C stack want it.
    pub(super) fn accept(&self, connection: &mut Connection) {
        if let Some(delivery) = self.owed {
            // A link that is gone meanwhile takes no outcome.
            let _ = connection.settle(self.link, delivery, DeliveryState::Accepted);
        }
    }

    /// Rejects the request.
    pub(super) fn reject(&self, connection: &mut Connection, error: Error) {
        let _ = match self.owed {
            Some(delivery) => {
                connection.settle(self.link, delivery, DeliveryState::Rejected(Some(error)))
            }
            // A client that waits for no outcome waits for an answer, which will not come.
            None => connection.detach(self.link, true, Some(error)),
        };
    }
}

/// The JSON of a registration. The C# client sends none if it has nothing to say.
fn body(message: &Message) -> Result<Bytes, Refusal> {
    let body = match &message.body {
        Body::Empty => Bytes::new(),
        Body::Data(_) => message.data(),
        Body::Sequence(_) | Body::Value(_) => {
            return Err(Refusal::invalid("The body of a registration must be data"));
        }
    };
    Ok(if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    })
}

fn encode(answer: &Answer, correlation_id: Option<MessageId>) -> Bytes {
    let wait = answer.retry_after_s.map(seconds);
    Message {
        properties: correlation_id.map(|id| Properties {
            correlation_id: Some(id),
            ..Properties::default()
        }),
        application_properties: wait.map(|wait| {
            let entries = RETRY_AFTER.map(|name| (Value::from(name), Value::Int(wait)));
            Map(entries.to_vec())
        }),
        ..Message::from_data(answer.body.to_string())
    }
    .to_bytes()
}

/// A refusal on the wire: the service's JSON is the description.
pub(super) fn error(refusal: &Refusal) -> Error {
    let condition = match refusal.status() {
        401 | 403 => condition::UNAUTHORIZED_ACCESS,
        404 => condition::NOT_FOUND,
        413 => condition::MESSAGE_SIZE_EXCEEDED,
        // What Node's client tries again for.
        429 => THROTTLED,
        500.. => condition::INTERNAL_ERROR,
        _ => ARGUMENT_ERROR,
    };
    let error = Error::new(condition, refusal.body().to_string());
    match refusal.retry_after_s.map(seconds) {
        Some(wait) => {
            let entries = RETRY_AFTER.map(|name| {
                let name = Value::Symbol(Symbol::from_static(name));
                (name, Value::Int(wait))
            });
            error.with_info(Map(entries.to_vec()))
        }
        None => error,
    }
}

fn seconds(wait_s: u32) -> i32 {
    i32::try_from(wait_s).unwrap_or(i32::MAX)
}
