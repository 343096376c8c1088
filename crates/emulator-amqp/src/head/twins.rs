//! Requests about twins: from a link to the registry, and back once everything is stored.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Connection, LinkId};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{DeliveryState, condition};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;

use super::Head;
use super::messages::Arrived;
use crate::device_session::{DeviceLink, Owner};
use crate::error::refusal;
use crate::limits;
use crate::links::Link;
use crate::signals::Notice;
use crate::telemetry;
use crate::twin::{self, Answer, Request};

impl Head {
    /// Takes a request in, or says why it cannot be answered.
    pub(super) fn on_twin_request(
        &mut self,
        connection: &mut Connection,
        arrived: &Arrived,
        owner: Owner,
    ) {
        let session = connection.session_of(arrived.link);
        let answers = session.and_then(|session| {
            let pair = (session, owner.client.clone(), DeviceLink::TwinAnswers);
            self.pairs.get(&pair).copied()
        });
        let request = Message::decode(&arrived.payload)
            .map_err(telemetry::malformed)
            .and_then(|message| {
                let text = "the device has no link for answers about its twin on this session";
                let code = ErrorCode::INVALID_OPERATION;
                let answers = answers.ok_or_else(|| refusal(condition::NOT_ALLOWED, code, text))?;
                Request::read(&message, owner, answers)
            });
        match request {
            Ok(request) => {
                // Settled before it is answered, as clients of the C stack want it.
                arrived.settle(connection, DeliveryState::Accepted);
                if let Some(hub) = self.hub.clone() {
                    self.take_twin_request(connection, &hub, request, &arrived.payload);
                }
            }
            Err(error) => self.reject(connection, arrived, "twin request", error),
        }
    }

    /// Carries out what waits, unless the changes before it are being stored.
    pub(super) fn serve_twins(
        &mut self,
        connection: &mut Connection,
        hub: &Arc<Hub>,
        now: Duration,
    ) {
        loop {
            let requests = self.twins.next_batch();
            if requests.is_empty() {
                return;
            }
            let mut requests = Some(requests);
            let signals = Arc::clone(&self.signals);
            let done = hub.change_soon(
                |registry| {
                    let requests = requests.take().unwrap_or_default();
                    twin::carry_out(requests, registry, hub.now_unix_ms())
                },
                move |stored| signals.notify(Notice::TwinsStored(stored.is_ok())),
            );
            match done {
                Ok(Some((answers, stored_later))) => {
                    self.note_wishes(&answers);
                    if stored_later {
                        self.twins.unstored = Some(answers);
                        return;
                    }
                    for answer in answers {
                        self.send_twin_answer(connection, answer);
                    }
                }
                Ok(None) => {
                    self.twins.put_back(requests.unwrap_or_default());
                    let pause = Duration::from_millis(limits::TWIN_RETRY_MS);
                    self.twins.retry_at = Some(now + pause);
                    return;
                }
                Err(error) => {
                    // The store itself says so once.
                    tracing::debug!(hub = %hub.host(), %error, "twins cannot be stored");
                    for request in requests.unwrap_or_default() {
                        self.send_twin_answer(connection, request.not_stored());
                    }
                }
            }
        }
    }

    /// The changes that were being stored are, or are not.
    pub(super) fn twins_stored(&mut self, connection: &mut Connection, stored: bool) {
        for answer in self.twins.unstored.take().unwrap_or_default() {
            let answer = if stored { answer } else { answer.not_stored() };
            self.send_twin_answer(connection, answer);
        }
    }

    /// Notifies a device of its desired properties, if it asked for notifications.
    pub(super) fn tell_desired(&mut self, connection: &mut Connection, link: LinkId, patch: Bytes) {
        if let Some(Link::TwinAnswers(answers)) = self.links.get_mut(link)
            && answers.wants_news
        {
            if let Some(hub) = &self.hub {
                hub.charge([patch.len()]);
            }
            self.send_twin_message(connection, link, twin::news(patch));
        }
    }

    fn note_wishes(&mut self, answers: &[Answer]) {
        for answer in answers {
            if let (Some(wants_news), Some(Link::TwinAnswers(link))) =
                (answer.wants_news, self.links.get_mut(answer.link))
            {
                link.wants_news = wants_news;
            }
        }
    }

    pub(super) fn send_twin_answer(&mut self, connection: &mut Connection, answer: Answer) {
        if let Some((code, text)) = &answer.refused {
            let what = match self.links.get_mut(answer.link) {
                Some(Link::TwinAnswers(link)) => link.owner.client.described(),
                _ => String::new(),
            };
            self.refused_with(Door::Twin, &what, &code.to_string(), text);
        }
        if let (Some(bytes), Some(hub)) = (answer.read_bytes, &self.hub) {
            hub.charge([bytes]);
        }
        self.send_twin_message(connection, answer.link, answer.message);
    }

    /// A device must not miss changes of its twin: one that does not read them must start again.
    fn send_twin_message(&mut self, connection: &mut Connection, id: LinkId, message: Bytes) {
        let Some(Link::TwinAnswers(link)) = self.links.get_mut(id) else {
            return;
        };
        if link.answers.is_full() {
            self.signals.notify(Notice::Overrun(id));
        } else {
            link.answers.send(connection, message);
        }
    }
}
