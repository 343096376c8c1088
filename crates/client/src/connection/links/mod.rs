//! A device's links in addition to telemetry, attached while they are needed.
//!
//! A link that the hub refuses, or does not answer, is reported as such; the rest of the device continues, since some hubs do not
//! support all links. If the hub ends an attached link, or another client takes it over, the device loses its session; the owner of
//! the device decides when to try again. Only twin links that serve single requests are attached and detached without a report.

mod c2d;
mod decode;
mod link_pair;
mod methods;
mod twin;
mod twin_messages;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Connection, DeliveryId, LinkId, SessionId};
use drawspan_amqp::performative::{Attach, DeliveryState, DeliveryTag, Error};
use drawspan_hub::{AttemptId, DeviceId, Failure, FailureKind, Link, Receive, Wants};

use super::command::{C2dOutcome, MethodAnswer, SendFailure, TwinAnswer, TwinOperation};
use super::handler::failure_of;
use super::reply::Reply;
use crate::inbox::Inbox;
use crate::limits;
use crate::session::DeviceSession;
use c2d::C2d;
use methods::Methods;
use twin::Twin;

pub(super) use methods::METHOD_CONTEXT;

/// The receiver of the answer to a twin request.
pub(super) type TwinReply = Reply<TwinAnswer>;

/// Links of one device, and what is wanted of them.
#[derive(Debug, Default)]
pub(super) struct Links {
    wants: Wants,
    methods: Option<Methods>,
    c2d: Option<C2d>,
    twin: Option<Twin>,
    /// Wanted, and not to be had.
    refused: drawspan_hub::Links,
    /// Refused, and not reported yet.
    refusals: Vec<(Link, Failure)>,
    /// The last reported links.
    told: drawspan_hub::Links,
}

/// The device, and what is around it.
pub(super) struct LinkContext<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) inbox: &'a Inbox,
    pub(super) ids: &'a mut Ids,
    pub(super) detaching: &'a mut VecDeque<Detaching>,
    pub(super) device: &'a DeviceId,
    pub(super) attempt: AttemptId,
    pub(super) session: SessionId,
    pub(super) now: Duration,
}

/// A link that the hub is to detach.
#[derive(Debug)]
pub(super) struct Detaching {
    pub(super) link: LinkId,
    pub(super) session: SessionId,
    pub(super) until: Duration,
}

/// A message that came over a link.
pub(super) struct Delivery<'a> {
    pub(super) link: LinkId,
    pub(super) delivery: DeliveryId,
    pub(super) tag: DeliveryTag,
    pub(super) settled: bool,
    pub(super) payload: &'a Bytes,
}

impl LinkContext<'_> {
    fn device_session(&self) -> DeviceSession {
        DeviceSession(self.session)
    }

    /// Takes a link down. The hub must agree in time, or the device loses its session.
    fn detach(&mut self, link: LinkId) {
        // An error means that the hub did so already.
        if self.connection.detach(link, true, None).is_ok() {
            self.detaching.push_back(Detaching {
                link,
                session: self.session,
                until: self.now + Duration::from_millis(limits::DETACH_TIMEOUT_MS),
            });
        }
    }

    /// Accepts a delivery, if it is not settled already.
    fn accept(&mut self, arrived: &Delivery<'_>) {
        if !arrived.settled {
            // An error means that the link is gone, of which an event tells.
            let _ = self
                .connection
                .settle(arrived.link, arrived.delivery, DeliveryState::Accepted);
        }
    }
}

impl Links {
    pub(super) fn new(wants: Wants) -> Self {
        Self {
            wants,
            ..Self::default()
        }
    }

    /// Whether there is nothing to keep.
    pub(super) fn is_idle(&self) -> bool {
        self.wants == Wants::default()
            && self.methods.is_none()
            && self.c2d.is_none()
            && self.twin.is_none()
    }

    /// Something else is wanted now. What was refused is worth another try.
    pub(super) fn want(&mut self, wants: Wants) {
        self.wants = wants;
        self.refused = drawspan_hub::Links::default();
    }

    /// Refusals that are not reported yet.
    pub(super) fn take_refusals(&mut self) -> Vec<(Link, Failure)> {
        std::mem::take(&mut self.refusals)
    }

    /// The attached links, if they changed and no further change is imminent.
    pub(super) fn take_news(&mut self) -> Option<drawspan_hub::Links> {
        let up = drawspan_hub::Links {
            methods: self.methods.as_ref().is_some_and(Methods::is_up),
            c2d: self.c2d.as_ref().is_some_and(C2d::is_up),
            desired: self.twin.as_ref().is_some_and(Twin::is_subscribed),
        };
        let (wanted, refused) = (self.wants.links(), self.refused);
        let settled = (!wanted.methods || up.methods || refused.methods)
            && (!wanted.c2d || up.c2d || refused.c2d)
            && (!wanted.desired || up.desired || refused.desired);
        if !settled || self.told == up {
            return None;
        }
        self.told = up;
        Some(up)
    }

    /// A link that is wanted could not be had.
    fn refuse(&mut self, link: Link, failure: Failure) -> Result<(), Failure> {
        if ends_session(failure.kind) {
            return Err(failure);
        }
        self.refused.add(link);
        self.refusals.push((link, failure));
        Ok(())
    }

    /// Attaches what is wanted and missing, detaches what is there and not wanted.
    pub(super) fn reconcile(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        match (
            self.wants.methods && !self.refused.methods,
            &mut self.methods,
        ) {
            (true, None) => self.methods = Some(Methods::attach(at)?),
            (false, Some(methods)) => {
                methods.detach(at);
                self.methods = None;
            }
            _ => {}
        }
        match (self.wants.c2d, &mut self.c2d) {
            (Receive::No, Some(c2d)) => {
                c2d.detach(at);
                self.c2d = None;
            }
            (Receive::No, None) => {}
            (receive, Some(c2d)) => c2d.receive(at, receive),
            (_, None) if self.refused.c2d => {}
            (receive, None) => self.c2d = Some(C2d::attach(at, receive)?),
        }
        match (self.wants.desired && !self.refused.desired, &mut self.twin) {
            (true, None) => self.twin.insert(Twin::attach(at)?).subscribe(at),
            (true, Some(twin)) => twin.subscribe(at),
            (false, Some(twin)) => twin.unsubscribe(at),
            (false, None) => Ok(()),
        }
    }

    /// Asks the twin something; its links are attached for that if need be.
    pub(super) fn ask_twin(
        &mut self,
        at: &mut LinkContext<'_>,
        operation: TwinOperation,
        deadline: Duration,
        reply: TwinReply,
    ) -> Result<(), Failure> {
        let twin = match &mut self.twin {
            Some(twin) => twin,
            None => match Twin::attach(at) {
                Ok(twin) => self.twin.insert(twin),
                Err(failure) => {
                    reply.send(Err(SendFailure::Refused(failure)));
                    return Ok(());
                }
            },
        };
        twin.ask(at, operation, deadline, reply)
    }

    /// Lets the hub send a cloud-to-device message, where they come on demand.
    pub(super) fn pull(&mut self, at: &mut LinkContext<'_>) {
        if let Some(c2d) = &mut self.c2d {
            c2d.pull(at);
        }
    }

    pub(super) fn answer_method(&mut self, at: &mut LinkContext<'_>, answer: MethodAnswer) {
        if let Some(methods) = &mut self.methods {
            methods.answer(at, answer);
        }
    }

    pub(super) fn settle_c2d(
        &mut self,
        at: &mut LinkContext<'_>,
        outcome: &C2dOutcome,
        reply: Reply,
    ) {
        match &mut self.c2d {
            Some(c2d) => c2d.settle(at, outcome, reply),
            None => {
                reply.send(Err(SendFailure::Stale));
            }
        }
    }

    pub(super) fn on_attached(
        &mut self,
        at: &mut LinkContext<'_>,
        link: LinkId,
        attach: &Attach,
    ) -> Result<(), Failure> {
        if let Some(methods) = &mut self.methods {
            methods.on_attached(link);
        }
        if let Some(c2d) = &mut self.c2d {
            c2d.on_attached(at, link, attach);
        }
        match &mut self.twin {
            Some(twin) => twin.on_attached(at, link),
            None => Ok(()),
        }
    }

    /// Sends what waits, as far as there is credit and room.
    pub(super) fn flush(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        if let Some(methods) = &mut self.methods {
            methods.flush(at);
        }
        match &mut self.twin {
            Some(twin) => twin.flush(at),
            None => Ok(()),
        }
    }

    pub(super) fn on_message(
        &mut self,
        at: &mut LinkContext<'_>,
        arrived: &Delivery<'_>,
    ) -> Result<(), Failure> {
        if let Some(methods) = &mut self.methods
            && methods.owns(arrived.link)
        {
            methods.on_request(at, arrived);
        } else if let Some(c2d) = &mut self.c2d
            && c2d.owns(arrived.link)
        {
            c2d.on_message(at, arrived);
        } else if let Some(twin) = &mut self.twin
            && twin.owns(arrived.link)
        {
            return match twin.on_message(at, arrived) {
                None => Ok(()),
                Some(failure) => self.give_up_desired(at, failure),
            };
        }
        // Otherwise it came over a link that is being detached: what was not settled then goes back to the hub.
        Ok(())
    }

    /// A message came that was too large to be kept.
    pub(super) fn on_too_large(
        &mut self,
        at: &mut LinkContext<'_>,
        link: LinkId,
        delivery: DeliveryId,
    ) {
        let _ = at
            .connection
            .settle(link, delivery, DeliveryState::Rejected(None));
        if let Some(methods) = &mut self.methods
            && methods.owns(link)
        {
            methods.on_lost(at);
        }
        if let Some(c2d) = &mut self.c2d
            && c2d.owns(link)
        {
            c2d.next(at);
        }
    }

    pub(super) fn on_settled(
        &mut self,
        at: &mut LinkContext<'_>,
        link: LinkId,
        delivery: DeliveryId,
        state: Option<DeliveryState>,
    ) {
        if let Some(c2d) = &mut self.c2d
            && c2d.owns(link)
        {
            c2d.on_settled(at, delivery, state);
        }
    }

    /// The hub ended a link; a link that was detached here is not known any more.
    pub(super) fn on_detached(
        &mut self,
        at: &mut LinkContext<'_>,
        link: LinkId,
        error: Option<&Error>,
    ) -> Result<(), Failure> {
        let (link, stood) =
            if let Some(methods) = self.methods.take_if(|methods| methods.owns(link)) {
                methods.detach(at);
                (Link::Methods, methods.is_up())
            } else if let Some(c2d) = self.c2d.take_if(|c2d| c2d.owns(link)) {
                let stood = c2d.is_up();
                c2d.abandon();
                (Link::C2d, stood)
            } else if let Some(twin) = self.twin.take_if(|twin| twin.owns(link)) {
                let stood = twin.is_subscribed();
                twin.on_refused(at, &failure_of(error));
                if !self.wants.desired || self.refused.desired {
                    return Ok(());
                }
                (Link::Desired, stood)
            } else {
                return Ok(());
            };
        match stood {
            true => Err(failure_of(error)),
            false => self.refuse(link, failure_of(error)),
        }
    }

    /// Notifications of desired properties are not to be had; requests may be.
    fn give_up_desired(
        &mut self,
        at: &mut LinkContext<'_>,
        failure: Failure,
    ) -> Result<(), Failure> {
        if let Some(twin) = &mut self.twin {
            twin.unsubscribe(at)?;
        }
        self.refuse(Link::Desired, failure)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let methods = self.methods.as_ref().and_then(Methods::deadline);
        let c2d = self.c2d.as_ref().and_then(C2d::deadline);
        let wanted = self.wants.desired && !self.refused.desired;
        let twin = self.twin.as_ref();
        let twin = twin.and_then(|twin| twin.deadline(wanted));
        [methods, c2d, twin].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn look(&mut self, at: &mut LinkContext<'_>) -> Result<(), Failure> {
        if let Some(methods) = self.methods.take_if(|methods| methods.is_late(at.now)) {
            methods.detach(at);
            self.refuse(Link::Methods, not_attached())?;
        }
        if let Some(methods) = &mut self.methods {
            methods.look(at);
        }
        if let Some(mut c2d) = self.c2d.take_if(|c2d| c2d.is_late(at.now)) {
            c2d.detach(at);
            self.refuse(Link::C2d, not_attached())?;
        }
        if let Some(c2d) = &mut self.c2d {
            c2d.look(at)?;
        }
        if let Some(failure) = self.twin.as_mut().and_then(|twin| twin.look(at)) {
            self.give_up_desired(at, failure)?;
        }
        if let Some(twin) = &mut self.twin {
            twin.flush(at)?;
        }
        let wanted = self.wants.desired && !self.refused.desired;
        if let Some(twin) = self.twin.take_if(|twin| !wanted && twin.is_over(at.now)) {
            twin.detach(at);
            twin.abandon(&SendFailure::NotSent);
        }
        Ok(())
    }

    /// The device is gone: waiting callers get an error. A cloud-to-device message that was not settled returns to the hub.
    pub(super) fn abandon(self) {
        if let Some(c2d) = self.c2d {
            c2d.abandon();
        }
        if let Some(twin) = self.twin {
            twin.abandon(&SendFailure::Stale);
        }
    }
}

/// Ids that are not to be repeated. Nothing secret hangs on them: the standard library's seeded hasher is random enough.
#[derive(Debug, Default)]
pub(super) struct Ids {
    seed: RandomState,
    count: u64,
}

impl Ids {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.seed.hash_one(self.count)
    }

    /// As a random uuid is written.
    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff,
        )
    }
}

/// Whether the rest of the device is lost, too.
const fn ends_session(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::LinkStolen | FailureKind::ConnectionLost)
}

/// The hub did not take a link in time.
fn not_attached() -> Failure {
    let text = "the hub did not take a link of the device in time";
    Failure::local(FailureKind::Timeout, text)
}

fn no_room(error: drawspan_amqp::engine::CommandError) -> Failure {
    let text = format!("a link of the device could not be attached: {error}");
    Failure::local(FailureKind::Protocol, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_uuids_and_differ() {
        let mut ids = Ids::default();
        let (one, other) = (ids.uuid(), ids.uuid());
        assert_ne!(one, other);
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
