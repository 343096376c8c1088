//! A device that registers at DPS: from its links to the service, and back once it is registered.

use std::sync::Arc;

use drawspan_amqp::engine::{Connection, DeliveryId, LinkId, SessionId};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{Attach, SaslCode};
use drawspan_emulator_hub::dps::requests::{Answer, Refusal};
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::dps::Denied;

use super::Head;
use super::messages::Arrived;
use crate::limits::REGISTRATION_BODY_BYTES;
use crate::links::Link;
use crate::registration::{self, Asked, Identity, Next, Operation, Registration, RegistrationLink};

impl Head {
    /// Takes a device in whose token allows it to register.
    pub(super) fn identify(&mut self, identity: Identity) -> SaslCode {
        let identified = self.shared.dps.identify(identity.caller(None)).map(drop);
        match identified {
            Ok(()) => {
                self.registration = Some(Box::new(Registration::new(identity)));
                SaslCode::Ok
            }
            Err(refusal) => {
                let what = format!("registration {}", identity.id());
                self.sasl_refused(SaslCode::Auth, &what, refusal.reason())
            }
        }
    }

    /// Whether a link is that of a device that comes to register by its certificate, at a name that is a hub's as well. It is a
    /// hub's connection no more then.
    pub(super) fn is_to_register(&self, attach: &Attach) -> bool {
        let certificate = self
            .access
            .certificate()
            .filter(|_| self.links.iter().next().is_none());
        let identity = certificate.and_then(|it| Identity::by_certificate(attach, Arc::clone(it)));
        identity.is_some_and(|it| {
            it.id_scope()
                .eq_ignore_ascii_case(self.shared.dps.id_scope())
        })
    }

    pub(super) fn on_registration_attach(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        id: LinkId,
        attach: &Attach,
    ) {
        if self.registration.is_none()
            && let Err(refusal) = self.identify_by_certificate(attach)
        {
            let what = super::refusing::link_of(attach);
            self.refused_with(
                Door::Attach,
                &what,
                &refusal.code.to_string(),
                refusal.reason(),
            );
            // An error of the engine means that the link is gone already.
            let _ = connection.refuse(id, registration::error(&refusal));
            return;
        }
        let Some(registration) = &mut self.registration else {
            return;
        };
        // An error of the engine means that the link is gone already, of which an event tells.
        let _ = match registration.take_link(session, id, attach) {
            Ok((link, options)) => {
                let link = match link {
                    RegistrationLink::Requests(requests) => {
                        Link::RegistrationRequests(Box::new(requests))
                    }
                    RegistrationLink::Answers => Link::RegistrationAnswers,
                };
                self.links.insert(id, link);
                connection.accept(id, options)
            }
            Err(refusal) => {
                self.registration_refused(Door::Attach, &refusal);
                connection.refuse(id, registration::error(&refusal))
            }
        };
    }

    /// Takes a device in by the certificate of its connection: official clients that have one send no SASL.
    fn identify_by_certificate(&mut self, attach: &Attach) -> Result<(), Refusal> {
        let certificate = self.access.certificate().cloned();
        let identity = certificate.and_then(|it| Identity::by_certificate(attach, it));
        let identity = identity.ok_or_else(|| Refusal::from(Denied::NoToken))?;
        self.shared.dps.identify(identity.caller(None))?;
        self.registration = Some(Box::new(Registration::new(identity)));
        self.hub = None;
        Ok(())
    }

    pub(super) fn on_registration_request(
        &mut self,
        connection: &mut Connection,
        arrived: &Arrived,
    ) {
        let (Some(registration), Some(Link::RegistrationRequests(requests))) =
            (&mut self.registration, self.links.get_mut(arrived.link))
        else {
            return;
        };
        let session = connection.session_of(arrived.link);
        let asked = Asked::new(arrived.link, arrived.owed, session);
        let taken = Message::decode(&arrived.payload)
            .map_err(|error| Refusal::invalid(format!("The message cannot be read: {error}")))
            .and_then(|message| registration.take(requests, asked.clone(), &message));
        match taken {
            Ok(()) => self.serve_registration(connection),
            Err(refusal) => self.reject_request(connection, &asked, &refusal),
        }
    }

    pub(super) fn on_registration_too_large(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        owed: Option<DeliveryId>,
    ) {
        let text = format!("The body has more than {REGISTRATION_BODY_BYTES} bytes");
        let refusal = Refusal::new(ErrorCode::MESSAGE_TOO_LARGE.number(), text);
        self.reject_request(connection, &Asked::new(link, owed, None), &refusal);
    }

    /// The service has carried the request out that was under way.
    pub(super) fn on_registered(
        &mut self,
        connection: &mut Connection,
        answer: Result<Answer, Refusal>,
    ) {
        self.answer_request(connection, answer);
        self.serve_registration(connection);
    }

    /// Has the service carry out what waits, up to a registration, which takes time.
    fn serve_registration(&mut self, connection: &mut Connection) {
        let next = |head: &mut Self| head.registration.as_mut().and_then(|it| it.next());
        while let Some(request) = next(self) {
            let Next {
                operation,
                identity,
                api_version,
            } = request;
            let dps = Arc::clone(&self.shared.dps);
            match operation {
                Operation::Status(operation) => {
                    let caller = identity.caller(api_version.as_deref());
                    let answer = dps.answer_operation(caller, &operation);
                    self.answer_request(connection, answer);
                }
                Operation::Register(body) => {
                    let signals = Arc::clone(&self.signals);
                    // One at a time for a connection.
                    tokio::spawn(async move {
                        let caller = identity.caller(api_version.as_deref());
                        signals.registered(dps.answer_registration(caller, &body).await);
                    });
                    return;
                }
            }
        }
    }

    fn answer_request(&mut self, connection: &mut Connection, answer: Result<Answer, Refusal>) {
        let Some(registration) = &mut self.registration else {
            return;
        };
        let Some(asked) = registration.done() else {
            return;
        };
        match answer {
            Ok(answer) => {
                asked.accept(connection);
                registration.answer(connection, &asked, &answer);
            }
            Err(refusal) => self.reject_request(connection, &asked, &refusal),
        }
    }

    fn reject_request(&self, connection: &mut Connection, asked: &Asked, refusal: &Refusal) {
        self.registration_refused(Door::Dps, refusal);
        asked.reject(connection, registration::error(refusal));
    }

    fn registration_refused(&self, door: Door, refusal: &Refusal) {
        let id = self.registration.as_ref().map_or("", |it| it.id());
        let what = format!("registration {id}");
        self.refused_with(door, &what, &refusal.code.to_string(), refusal.reason());
    }
}
