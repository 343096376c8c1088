//! A device that registers at DPS over MQTT. Sessions of the service are always new ones.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::dps::requests::{Caller, Refusal};
use drawspan_hub_model::x509::Presented;
use drawspan_mqtt::topic::{Filter, Topic};
use drawspan_mqtt::{Qos, Server, ServerError};

use crate::limits;

/// The client of one connection.
pub(super) struct Registration {
    dps: Arc<Dps>,
    id_scope: String,
    id: String,
    token: Option<String>,
    certificate: Option<Arc<Presented>>,
    api_version: Option<String>,
    /// The QoS with which it gets answers, once it has subscribed to them.
    answers: Option<Qos>,
    waiting: VecDeque<Request>,
}

/// What is asked.
enum Request {
    Register {
        request_id: String,
        body: Bytes,
    },
    Operation {
        request_id: String,
        operation: String,
    },
}

/// An answer was a refusal.
pub(super) struct Refused(pub(super) Refusal);

impl Registration {
    /// A client that may register, or why it may not.
    pub(super) fn new(
        dps: &Arc<Dps>,
        caller: Caller<'_>,
        certificate: Option<Arc<Presented>>,
    ) -> Result<Self, Refusal> {
        dps.identify(caller)?;
        Ok(Self {
            dps: Arc::clone(dps),
            id_scope: caller.id_scope.to_owned(),
            id: caller.registration.to_owned(),
            token: caller.token.map(str::to_owned),
            certificate,
            api_version: caller.api_version.map(str::to_owned),
            answers: None,
            waiting: VecDeque::new(),
        })
    }

    /// The registration.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Subscribes to a filter. Returns what is granted.
    pub(super) fn subscribe(&mut self, filter: &str, wanted: Qos) -> Option<Qos> {
        let granted = wanted.min(Qos::AtLeastOnce);
        match Filter::parse(filter) {
            Some(Filter::RegistrationAnswers) => self.answers = Some(granted),
            _ => return None,
        }
        Some(granted)
    }

    /// Queues a request. False if the topic is not one of DPS, or too many requests wait.
    pub(super) fn take(&mut self, topic: &str, body: Bytes) -> bool {
        if self.waiting.len() >= limits::REGISTRATION_REQUESTS_MAX {
            return false;
        }
        self.waiting.push_back(match Topic::parse(topic) {
            Some(Topic::Register { request_id }) => Request::Register {
                request_id: request_id.to_owned(),
                body,
            },
            Some(Topic::OperationStatus {
                request_id,
                operation,
            }) => Request::Operation {
                request_id: request_id.to_owned(),
                operation: operation.to_owned(),
            },
            _ => return false,
        });
        true
    }

    /// Answers everything that waits. Returns what was refused.
    pub(super) async fn serve(&mut self, server: &mut Server) -> Result<Vec<Refused>, ServerError> {
        let mut refused = Vec::new();
        while let Some(request) = self.waiting.pop_front() {
            let caller = Caller {
                id_scope: &self.id_scope,
                registration: &self.id,
                token: self.token.as_deref(),
                certificate: self.certificate.as_deref(),
                api_version: self.api_version.as_deref(),
            };
            let (request_id, answer) = match request {
                Request::Register { request_id, body } => (
                    request_id,
                    self.dps.answer_registration(caller, &body).await,
                ),
                Request::Operation {
                    request_id,
                    operation,
                } => (request_id, self.dps.answer_operation(caller, &operation)),
            };
            let (status, wait_s, body) = match answer {
                Ok(answer) => (answer.status, answer.retry_after_s, answer.body),
                Err(refusal) => {
                    let answer = (refusal.status(), refusal.retry_after_s, refusal.body());
                    refused.push(Refused(refusal));
                    answer
                }
            };
            let mut topic = format!("$dps/registrations/res/{status}/?$rid={request_id}");
            if let Some(wait_s) = wait_s {
                topic.push_str(&format!("&retry-after={wait_s}"));
            }
            let body = body.to_string();
            match self.answers {
                None => {}
                Some(Qos::AtMostOnce) => server.publish(&topic, body.as_bytes())?,
                Some(_) => _ = server.publish_at_least_once(&topic, body.as_bytes())?,
            }
        }
        Ok(refused)
    }
}
