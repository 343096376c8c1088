//! What people do, and what goes wrong.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::controller::{Input, Request, SessionEvent};
use drawspan_bridge::subscriptions::{Prefix, Scope};
use drawspan_hub::{Failure, FailureKind, Outcome, SubscriptionType};

use super::receivers::{Behaviour, RECEIVERS};
use super::{DeviceNo, Event, World, controller};
use crate::check::Violation;
use crate::platform::{Caller, Receiver};

/// What is wrong at the moment.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// No connection comes about.
    pub(super) down: bool,
    /// Links are refused now and then.
    pub(super) refuses_links: bool,
    /// Twins cannot be read now and then.
    pub(super) twins_fail: bool,
    /// Connections have no room for commands now and then.
    pub(super) busy: bool,
    /// Changes are not stored now and then.
    pub(super) store_fails: bool,
}

/// One of them, which ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    Down,
    RefusesLinks,
    TwinsFail,
    Busy,
    StoreFails,
}

impl Troubles {
    fn of(&mut self, trouble: Trouble) -> &mut bool {
        match trouble {
            Trouble::Down => &mut self.down,
            Trouble::RefusesLinks => &mut self.refuses_links,
            Trouble::TwinsFail => &mut self.twins_fail,
            Trouble::Busy => &mut self.busy,
            Trouble::StoreFails => &mut self.store_fails,
        }
    }

    pub(super) fn end(&mut self, trouble: Trouble) {
        *self.of(trouble) = false;
    }
}

impl World {
    /// Something happens, and something else some time later.
    pub(super) fn deed(&mut self) -> Result<(), Violation> {
        if self.calm {
            return Ok(());
        }
        let gap = self.dice.seconds(0.01, 60.0);
        self.agenda.set(self.now + gap, Event::Deed);
        let device = self.dice.below(self.ids.len());
        match self.dice.below(100) {
            0..12 => self.subscribe(device),
            12..20 => self.unsubscribe(device),
            20..40 => {
                self.desire(device);
                // Somebody else subscribes while that is on its way.
                if self.dice.percent(15) {
                    let at = self.now + self.dice.seconds(0.05, 20.0);
                    self.agenda.set(at, Event::Resubscribe(device));
                }
                Ok(())
            }
            40..52 => {
                self.hub.send(device);
                self.deliver(device);
                Ok(())
            }
            52..62 => {
                self.invoke(device);
                Ok(())
            }
            62..70 => self.receive(device),
            70..73 => self.handle(Input::Request(Request::Resync(self.ids[device].clone()))),
            _ => self.fault(device),
        }
    }

    fn scope(&mut self, device: DeviceNo) -> Scope {
        let id = self.ids[device].as_str();
        let prefix = match self.dice.below(12) {
            0 => Some(""),
            1 => id.get(..2),
            _ => None,
        };
        match prefix.and_then(|prefix| Prefix::parse(prefix).ok()) {
            Some(prefix) => Scope::Fleet(prefix),
            None => Scope::Device(self.ids[device].clone()),
        }
    }

    /// The first subscriber starts without any state.
    fn begin(&mut self, device: DeviceNo, kind: SubscriptionType, receiver: &Receiver) {
        let id = &self.ids[device];
        let desired = SubscriptionType::DesiredProperties;
        if kind == desired && self.controller.table().of(id, desired).is_none() {
            let key = (receiver.number, id.to_string());
            self.receivers.twins.remove(&key);
        }
    }

    /// A device's desired properties go elsewhere, or to where they went before.
    pub(super) fn resubscribe(&mut self, device: DeviceNo) -> Result<(), Violation> {
        let scope = Scope::Device(self.ids[device].clone());
        let kind = SubscriptionType::DesiredProperties;
        if self.dice.percent(50) {
            let caller = self.caller(device);
            let scope = scope.clone();
            self.handle(Input::Request(Request::Unsubscribe {
                scope,
                kind,
                caller,
            }))?;
        }
        let callback = Receiver::new(self.dice.below(RECEIVERS));
        self.begin(device, kind, &callback);
        let request = Request::Subscribe {
            scope,
            kind,
            callback,
            keep_connected: false,
            limited: false,
            caller: self.caller(device),
        };
        self.handle(Input::Request(request))
    }

    fn kind(&mut self) -> SubscriptionType {
        let all = SubscriptionType::ALL;
        self.dice.pick(&all).unwrap_or(SubscriptionType::Methods)
    }

    fn subscribe(&mut self, device: DeviceNo) -> Result<(), Violation> {
        let (scope, kind) = (self.scope(device), self.kind());
        let callback = Receiver::new(self.dice.below(RECEIVERS));
        self.begin(device, kind, &callback);
        let request = Request::Subscribe {
            scope,
            kind,
            callback,
            keep_connected: self.dice.percent(50),
            limited: false,
            caller: self.caller(device),
        };
        self.handle(Input::Request(request))
    }

    fn unsubscribe(&mut self, device: DeviceNo) -> Result<(), Violation> {
        let request = Request::Unsubscribe {
            scope: self.scope(device),
            kind: self.kind(),
            caller: self.caller(device),
        };
        self.handle(Input::Request(request))
    }

    fn caller(&mut self, device: DeviceNo) -> Caller {
        self.next_caller += 1;
        let caller = Caller {
            number: self.next_caller,
            device,
            is_gone: Rc::new(Cell::new(false)),
        };
        self.callers.insert(caller.number, caller.clone());
        caller
    }

    /// A caller asks for a message, and waits a while.
    fn receive(&mut self, device: DeviceNo) -> Result<(), Violation> {
        let caller = self.caller(device);
        let patience = self.dice.seconds(1.0, 60.0);
        self.agenda
            .set(self.now + patience, Event::HangUp(caller.number));
        let request = Request::Receive {
            device: self.ids[device].clone(),
            patience: self.dice.percent(70),
            caller,
        };
        self.handle(Input::Request(request))
    }

    pub(super) fn settle_held(&mut self, device: DeviceNo, token: String) -> Result<(), Violation> {
        let outcomes = [
            Outcome::Complete,
            Outcome::Complete,
            Outcome::Reject,
            Outcome::Abandon,
        ];
        let request = Request::Settle {
            device: self.ids[device].clone(),
            token,
            outcome: self.dice.pick(&outcomes).unwrap_or(Outcome::Complete),
            caller: self.caller(device),
        };
        self.handle(Input::Request(request))
    }

    /// A service changes a desired property.
    pub(super) fn desire(&mut self, device: DeviceNo) {
        let name = format!("p{}", self.dice.below(4));
        let value = self.dice.below(1_000) as i64;
        let removes = self.dice.percent(20);
        let twin = &mut self.hub.devices[device].twin;
        twin.version += 1;
        let written = match removes {
            true => {
                twin.properties.remove(&name);
                "null".to_owned()
            }
            false => {
                twin.properties.insert(name.clone(), value);
                value.to_string()
            }
        };
        let change = format!("{{\"{name}\":{written},\"$version\":{}}}", twin.version);
        let session = self.hub.devices[device].session;
        if let Some(session) = session.filter(|session| session.links.desired) {
            let event = match self.dice.below(100) {
                0..5 if !self.calm => SessionEvent::DesiredMissed,
                // It gets lost, and the next one shows that.
                5..15 if !self.calm => return,
                _ => SessionEvent::Desired(Bytes::from(change)),
            };
            self.tell(session.attempt, event);
        }
    }

    fn fault(&mut self, device: DeviceNo) -> Result<(), Violation> {
        let fault = self.dice.below(10);
        self.tally.note(&format!("fault {fault}"));
        match fault {
            0 => {
                let all = [
                    Behaviour::Good,
                    Behaviour::Refuses,
                    Behaviour::Fails,
                    Behaviour::Hangs,
                    Behaviour::Moody,
                ];
                let behaviour = self.dice.pick(&all).unwrap_or_default();
                let receiver = self.dice.below(RECEIVERS);
                self.receivers.behaviour[receiver] = behaviour;
            }
            1 | 2 => self.lose_connection(),
            3 => self.lose_session(device, FailureKind::ConnectionLost),
            4 => {
                let same_version = self.dice.percent(50);
                self.make_anew(device, same_version);
            }
            5 => return self.restart(),
            _ => {
                let all = [
                    Trouble::Down,
                    Trouble::RefusesLinks,
                    Trouble::TwinsFail,
                    // Twice: it matters only where a wish changes meanwhile.
                    Trouble::Busy,
                    Trouble::Busy,
                    Trouble::StoreFails,
                ];
                if let Some(trouble) = self.dice.pick(&all) {
                    *self.troubles.of(trouble) = true;
                    let over = self.now + self.dice.seconds(1.0, 600.0);
                    self.agenda.set(over, Event::Calm(trouble));
                }
            }
        }
        Ok(())
    }

    /// The device is deleted and created again, with a new twin, which may have reached the same version.
    fn make_anew(&mut self, device: DeviceNo, same_version: bool) {
        self.lose_session(device, FailureKind::ConnectionLost);
        let before = std::mem::take(&mut self.hub.devices[device].twin);
        let changes = match same_version {
            true => before.version as usize - 1,
            false => self.dice.below(6),
        };
        for _ in 0..changes {
            self.desire(device);
        }
    }

    fn lose_connection(&mut self) {
        let keys: Vec<_> = self.connections.keys().copied().collect();
        let Some(key) = self.dice.pick(&keys) else {
            return;
        };
        for device in 0..self.ids.len() {
            let session = self.hub.devices[device].session;
            if session.is_some_and(|session| session.connection == key) {
                self.hub.end(device);
            }
        }
        self.broken.insert(key);
        let at = self.now + self.dice.seconds(0.01, 20.0);
        self.agenda.set(at, Event::Gone(key));
    }

    fn lose_session(&mut self, device: DeviceNo, kind: FailureKind) {
        if let Some(session) = self.hub.devices[device].session {
            self.hub.end(device);
            let failure = Failure::local(kind, "the hub ended the session");
            self.tell(session.attempt, SessionEvent::Ended(failure));
        }
    }

    /// The process ends without a word and starts again.
    fn restart(&mut self) -> Result<(), Violation> {
        self.process += 1;
        let keep = |event: &Event| {
            matches!(
                event,
                Event::Deed | Event::LockEnds(_) | Event::Calm(_) | Event::MethodDue(..)
            )
        };
        self.agenda.retain(keep);
        self.due.clear();
        for device in 0..self.ids.len() {
            self.hub.end(device);
        }
        self.connections.clear();
        self.over.clear();
        self.broken.clear();
        self.arrivals.clear();
        self.published.clear();
        self.callers.clear();
        self.held.clear();
        self.controller = controller(self.seed, self.process, &self.stored, self.now);
        self.run_controller()
    }

    /// Everything is well from now on.
    pub(super) fn calm_down(&mut self) -> Result<(), Violation> {
        self.troubles = Troubles::default();
        self.receivers.behaviour = Default::default();
        // A failed write is reported to its caller, which repeats it.
        while self.now < Duration::from_secs(1) && self.step()? {}
        self.calm = true;
        for device in 0..self.ids.len() {
            if self.dice.percent(50) {
                let before = self.hub.devices[device].twin.clone();
                self.make_anew(device, true);
                // A twin that says the same as before brings nothing new.
                if self.hub.devices[device].twin.properties != before.properties {
                    continue;
                }
            }
            // One change is lost on the way; the next one shows it.
            let session = self.hub.devices[device].session.take();
            self.desire(device);
            self.hub.devices[device].session = session;
            self.desire(device);
        }
        self.run_controller()
    }
}
