//! What callers ask for, and what they are answered.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use drawspan_bridge::controller::{Delay, Input, Request, Response, Waiter};
use drawspan_bridge::subscriptions::Scope;
use drawspan_fleet::State;
use drawspan_fleet::limits::{TEMPORARY_MAX, TEMPORARY_MIN};
use drawspan_hub::SubscriptionType;

use super::Process;
use super::device::{Notes, caller_of};
use crate::check::{Violation, ensure};
use crate::hub::DeviceNo;
use crate::platform::{Caller, Receiver, Sim};
use crate::scenario::Profile;

/// How long a caller waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The demand for a device, as far as it is visible from outside.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Want {
    pub(crate) permanent_since: Option<Duration>,
    pub(crate) used: Option<Duration>,
}

impl Want {
    pub(crate) const fn permanent(&self) -> bool {
        self.permanent_since.is_some()
    }

    /// Whether it must be wanted.
    pub(crate) fn surely(&self, now: Duration) -> bool {
        self.permanent() || self.used.is_some_and(|used| now < used + TEMPORARY_MIN)
    }

    /// Whether it may be wanted.
    pub(crate) fn maybe(&self, now: Duration) -> bool {
        self.permanent() || self.used.is_some_and(|used| now < used + TEMPORARY_MAX)
    }
}

/// A caller who has no answer yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) device: DeviceNo,
    pub(crate) asked: Duration,
    is_gone: Rc<Cell<bool>>,
}

impl Process {
    /// A request uses a device. The number of its caller, if that one has to wait.
    pub(crate) fn used(
        &mut self,
        number: DeviceNo,
        now: Duration,
    ) -> Result<Option<u64>, Violation> {
        self.wants[number as usize].used = Some(now);
        self.touched.insert(number);
        if let Some(route) = self.routes.get(&number) {
            route.use_at(now);
            return Ok(None);
        }
        self.becomes_known(number);
        let caller = self.caller(number, now);
        let waiting = caller.number;
        let request = Request::Connect {
            device: self.ids[number as usize].clone(),
            waiter: Waiter {
                not: None,
                who: caller_of(number),
                deadline: now + PATIENCE,
                caller,
            },
        };
        self.handle(Input::Request(request), now)?;
        Ok(self.callers.contains_key(&waiting).then_some(waiting))
    }

    /// A caller who waits for an answer.
    fn caller(&mut self, device: DeviceNo, now: Duration) -> Caller {
        self.next_caller += 1;
        let is_gone = Rc::new(Cell::new(false));
        let waiting = Waiting {
            device,
            asked: now,
            is_gone: Rc::clone(&is_gone),
        };
        self.callers.insert(self.next_caller, waiting);
        Caller {
            number: self.next_caller,
            device: device as usize,
            is_gone,
        }
    }

    /// A caller is answered, once, and not after it has hung up.
    pub(super) fn answered(
        &mut self,
        caller: &Caller,
        answer: Response<Sim>,
        now: Duration,
    ) -> Result<(), Violation> {
        let known = self.callers.remove(&caller.number);
        ensure(
            known.is_some() || caller.is_gone.get(),
            "ONE-ANSWER",
            || format!("caller {} is answered again: {answer:?}", caller.number),
        )?;
        match (answer, known) {
            (Response::Connected(route), Some(known)) => {
                route.use_at(now);
                self.wants[known.device as usize].used = Some(now);
                self.tally.note("served");
                Ok(())
            }
            (Response::NotConnected(refusal), _) => {
                self.tally.note("refused");
                self.trace(|| format!("{refusal:?}"));
                Ok(())
            }
            (Response::Error(error), _) => ensure(false, "REFUSED", || format!("{error:?}")),
            _ => Ok(()),
        }
    }

    /// Somebody waits no longer: what was asked, if it was not answered.
    pub(crate) fn gives_up(&mut self, caller: u64) -> Option<Waiting> {
        let waiting = self.callers.remove(&caller)?;
        waiting.is_gone.set(true);
        Some(waiting)
    }

    /// What a device is waiting for.
    pub(crate) fn delay_of(&self, number: DeviceNo, now: Duration) -> Option<Delay> {
        let id = self.ids.get(number as usize)?;
        Some(self.controller.delay_of(id, now))
    }

    pub(crate) fn subscribe(
        &mut self,
        number: DeviceNo,
        permanent: bool,
        now: Duration,
    ) -> Result<(), Violation> {
        let want = &mut self.wants[number as usize];
        let since = want.permanent_since.unwrap_or(now);
        want.permanent_since = permanent.then_some(since);
        if permanent {
            self.becomes_known(number);
        }
        self.touched.insert(number);
        let scope = Scope::Device(self.ids[number as usize].clone());
        let kind = SubscriptionType::Methods;
        let caller = self.caller(number, now);
        let request = match permanent {
            true => Request::Subscribe {
                scope,
                kind,
                callback: Receiver::new(0),
                keep_connected: false,
                limited: false,
                caller,
            },
            false => Request::Unsubscribe {
                scope,
                kind,
                caller,
            },
        };
        self.handle(Input::Request(request), now)
    }

    pub(crate) fn resync(&mut self, number: DeviceNo, now: Duration) -> Result<(), Violation> {
        self.touched.insert(number);
        if self.index_of(number).is_some() {
            let state = self.machine_of(number).map(|machine| machine.state());
            let by_dps = self.scenario.profile == Profile::Dps;
            let hub_down = by_dps && self.hub_down_for(number, now).is_some();
            if hub_down {
                self.asked.insert(number);
            }
            match state {
                Some(State::Queued | State::Connecting) if hub_down => {
                    self.budgets[number as usize].forgiven();
                }
                Some(State::Waiting { .. } | State::Yielded { .. }) => {
                    self.budgets[number as usize].forgiven();
                }
                _ => {}
            }
        }
        let device = self.ids[number as usize].clone();
        self.handle(Input::Request(Request::Resync(device)), now)
    }

    /// A device is removed.
    pub(crate) fn release(&mut self, number: DeviceNo, now: Duration) -> Result<(), Violation> {
        self.wants[number as usize] = Want::default();
        self.touched.insert(number);
        let device = self.ids[number as usize].clone();
        // The row is the caller's to delete.
        self.stored.hubs.remove(&device);
        if self.index_of(number).is_some() {
            let budget = &mut self.budgets[number as usize];
            budget.forgiven();
            budget.forgotten();
            let machine = self.machine_of(number);
            let registers = machine.filter(|it| it.state() == State::Provisioning);
            let epoch = registers.map(|machine| machine.epoch().number());
            let notes = &mut self.devices[number as usize];
            notes.removed = epoch;
            notes.full = None;
        }
        let caller = self.caller(number, now);
        let request = Request::Forget { device, caller };
        self.handle(Input::Request(request), now)
    }

    /// A caller asks to register a device; some give up before it is its turn. The number of a caller who has to wait.
    pub(crate) fn ask_to_register(
        &mut self,
        number: DeviceNo,
        stays: bool,
        now: Duration,
    ) -> Result<Option<u64>, Violation> {
        self.asked_to_register = Some(now);
        let caller = self.caller(number, now);
        let waiting = caller.number;
        let request = Request::Register {
            device: self.ids[number as usize].clone(),
            who: caller_of(number),
            payload: None,
            deadline: now + PATIENCE,
            caller,
        };
        self.handle(Input::Request(request), now)?;
        if !stays {
            self.gives_up(waiting);
        }
        Ok(self.callers.contains_key(&waiting).then_some(waiting))
    }

    /// The fleet knows the device from now on.
    fn becomes_known(&mut self, number: DeviceNo) {
        if self.index_of(number).is_none() {
            self.budgets[number as usize].forgotten();
            self.devices[number as usize] = Notes::default();
        }
    }
}
