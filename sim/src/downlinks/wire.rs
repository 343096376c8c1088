//! What happens at the hub, and on the way from there.

use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::controller::{ConnectionEvent, Input, RequestError, SessionEvent};
use drawspan_fleet::ServiceId;
use drawspan_hub::{
    AttemptId, C2dMessage, ConnectionKey, Failure, FailureKind, Link, Links, Receive, Wants,
};

use super::process::ToHub;
use super::{DeviceNo, Event, METHOD_TIMEOUT, World, hub};
use crate::check::Violation;
use crate::platform::{Route, Sim};

impl World {
    pub(super) fn ready(&mut self, key: ConnectionKey) -> Result<(), Violation> {
        let Some(connection) = self.connections.get_mut(&key) else {
            return Ok(());
        };
        if self.troubles.down {
            return self.happen(Event::Gone(key));
        }
        connection.ready = true;
        for open in std::mem::take(&mut connection.waiting) {
            self.send(open.place.attempt, ToHub::Open(key, open.wants));
        }
        let (hub, event) = (ServiceId::of(1), ConnectionEvent::Ready);
        self.handle(Input::Connection { hub, key, event })
    }

    pub(super) fn at_client(
        &mut self,
        attempt: AttemptId,
        event: SessionEvent<Sim>,
    ) -> Result<(), Violation> {
        self.handle(Input::Session { attempt, event })
    }

    pub(super) fn at_hub(
        &mut self,
        device: DeviceNo,
        attempt: AttemptId,
        message: ToHub,
    ) -> Result<(), Violation> {
        match message {
            ToHub::Open(connection, wants) => {
                let stands = self.connections.contains_key(&connection);
                if !stands || self.broken.contains(&connection) {
                    return Ok(());
                }
                self.hub.end(device);
                self.hub.devices[device].session = Some(hub::Session {
                    attempt,
                    connection,
                    links: Links::default(),
                    receive: Receive::No,
                    credit: false,
                });
                self.tally.note("opened");
                let (session, route) = (attempt.serial, Route::new(attempt.serial));
                self.tell(attempt, SessionEvent::Opened { session, route });
                self.want(device, attempt, wants);
                return Ok(());
            }
            ToHub::Close => {
                if self.hub.session(device, attempt).is_some() {
                    self.hub.end(device);
                }
                self.tell(attempt, SessionEvent::Closed);
                return Ok(());
            }
            _ => {}
        }
        if self.hub.session(device, attempt).is_none() {
            if let ToHub::Settle(_, _, caller) = message {
                let result = Err(RequestError::LockLost);
                let at = self.arrival(attempt);
                self.agenda.set(at, Event::Settled(attempt, result, caller));
            }
            return Ok(());
        }
        match message {
            ToHub::Want(wants) => self.want(device, attempt, wants),
            ToHub::Pull => {
                if let Some(session) = &mut self.hub.devices[device].session {
                    session.credit = true;
                }
            }
            ToHub::Answer(number) => self.hub.answered(device, number, attempt)?,
            ToHub::Settle(number, outcome, caller) => {
                let settled = self
                    .hub
                    .settle(device, number, (attempt, outcome), self.now);
                self.tally.note("settled");
                let result = settled.ok_or(RequestError::LockLost);
                let at = self.arrival(attempt);
                self.agenda.set(at, Event::Settled(attempt, result, caller));
            }
            ToHub::Open(..) | ToHub::Close => {}
        }
        self.deliver(device);
        Ok(())
    }

    /// Gives a session the links that its client wants, but for those that the hub refuses.
    fn want(&mut self, device: DeviceNo, attempt: AttemptId, wants: Wants) {
        let refused = match self.troubles.refuses_links && self.dice.percent(60) {
            false => Links::default(),
            true => Links {
                methods: self.dice.percent(50),
                c2d: self.dice.percent(50),
                desired: self.dice.percent(50),
            },
        };
        let wanted = wants.links();
        let links = self.hub.want(device, wants, refused);
        for (link, is_refused) in [
            (Link::Methods, wanted.methods && refused.methods),
            (Link::C2d, wanted.c2d && refused.c2d),
            (Link::Desired, wanted.desired && refused.desired),
        ] {
            if is_refused {
                let failure = Failure::local(FailureKind::Throttled, "no link now");
                self.tell(attempt, SessionEvent::LinkRefused(link, failure));
            }
        }
        self.tell(attempt, SessionEvent::Linked(links));
        self.deliver(device);
    }

    /// Sends what may be sent.
    pub(super) fn deliver(&mut self, device: DeviceNo) {
        let Some(message) = self.hub.deliver(device, self.now) else {
            return;
        };
        let Some((until, attempt)) = message.lock else {
            return;
        };
        self.tally.note("messages delivered");
        self.agenda.set(until, Event::LockEnds(device));
        let event = SessionEvent::C2d {
            session: attempt.serial,
            delivery: message.number,
            message: Box::new(C2dMessage {
                sequence_number: Some(message.number),
                delivery_count: message.deliveries - 1,
                ..C2dMessage::default()
            }),
            share: (),
        };
        self.tell(attempt, event);
    }

    pub(super) fn invoke(&mut self, device: DeviceNo) {
        let Some((number, attempt)) = self.hub.invoke(device) else {
            return;
        };
        self.tally.note("methods");
        let due = self.now + METHOD_TIMEOUT + Duration::from_secs(5);
        self.agenda.set(due, Event::MethodDue(device, number));
        let event = SessionEvent::Method {
            session: attempt.serial,
            request: number,
            name: "m".into(),
            payload: Bytes::new(),
        };
        self.tell(attempt, event);
    }
}
