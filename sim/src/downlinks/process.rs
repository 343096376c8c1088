//! Executes the controller's actions, and returns their results.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::controller::{
    Action, Command, ConnectionEvent, DeadLetter, Held, Input, Location, Mark, Note, Open,
    Response, SessionEvent, Then,
};
use drawspan_bridge::limits::C2D_HOLD;
use drawspan_bridge::subscriptions::{Row, Scope};
use drawspan_fleet::ServiceId;
use drawspan_hub::{
    AttemptId, ConnectionKey, DeviceId, Failure, FailureKind, Outcome, SubscriptionType, Wants,
};

use super::{DeviceNo, Event, World, hub};
use crate::check::{Violation, ensure};
use crate::platform::{Caller, Receiver, Sim};

/// Runs of the controller at one moment.
const MOST_RUNS: usize = 1_000;

/// A connection as the client has it.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) ready: bool,
    /// Opened once it is ready.
    pub(super) waiting: Vec<Open>,
}

/// What goes to the hub on a session.
#[derive(Debug)]
pub(super) enum ToHub {
    Open(ConnectionKey, Wants),
    Close,
    Want(Wants),
    Pull,
    Answer(u64),
    Settle(u64, Outcome, Option<Caller>),
}

/// What survives a process.
#[derive(Debug, Default)]
pub(super) struct Stored {
    rows: BTreeMap<(Scope, SubscriptionType), Row<Receiver>>,
    marks: BTreeMap<DeviceId, Mark>,
}

impl Stored {
    pub(super) fn rows(&self) -> Vec<(Scope, SubscriptionType, Row<Receiver>)> {
        let rows = self.rows.iter();
        rows.map(|((scope, kind), row)| (scope.clone(), *kind, row.clone()))
            .collect()
    }

    pub(super) fn marks(&self) -> Vec<(DeviceId, Mark)> {
        let marks = self.marks.iter();
        marks.map(|(id, mark)| (id.clone(), *mark)).collect()
    }
}

impl World {
    pub(super) fn handle(&mut self, input: Input<Sim>) -> Result<(), Violation> {
        self.controller.handle(input, self.present());
        self.act().map(drop)
    }

    pub(super) fn run_controller(&mut self) -> Result<(), Violation> {
        // Some work is done a part at a time.
        for _ in 0..MOST_RUNS {
            let unix = Duration::from_secs(super::UNIX_S) + self.now;
            let due = self.controller.run(self.present(), unix);
            let acted = self.act()?;
            if due > self.now && !acted {
                if self.due.insert(due) {
                    self.agenda.set(due, Event::Due);
                }
                return Ok(());
            }
        }
        ensure(false, "DUE", || {
            format!("the controller has no rest at {:?}", self.now)
        })
    }

    /// Does everything. False if there was nothing.
    fn act(&mut self) -> Result<bool, Violation> {
        let mut any = false;
        while let Some(action) = self.controller.action() {
            any = true;
            if self.trace {
                eprintln!("               {action:?}");
            }
            self.execute(action)?;
        }
        Ok(any)
    }

    fn execute(&mut self, action: Action<Sim>) -> Result<(), Violation> {
        match action {
            Action::Answer(caller, answer) => self.answered(&caller, answer),
            Action::Open(open) => self.open(*open),
            Action::Close(place) => {
                self.close(place.connection, place.attempt);
                Ok(())
            }
            Action::Want(place, wants) => {
                if self.troubles.busy && self.dice.percent(90) {
                    self.tally.note("busy");
                    return self.handle(Input::Busy(place.attempt, Command::Want));
                }
                self.send(place.attempt, ToHub::Want(wants));
                Ok(())
            }
            Action::Pull(place) => {
                self.send(place.attempt, ToHub::Pull);
                Ok(())
            }
            Action::AnswerMethod { place, request, .. } => {
                self.send(place.attempt, ToHub::Answer(request));
                Ok(())
            }
            Action::Settle {
                place,
                delivery,
                outcome,
                letter,
                caller,
            } => self.settles(place, delivery, outcome, letter, caller),
            Action::ReadTwin { place, .. } => {
                self.read_twin(place);
                Ok(())
            }
            Action::Drop(_, key) => {
                self.connections.remove(&key);
                self.over.insert(key);
                Ok(())
            }
            Action::Publish(device, _) => {
                let new = self.published.insert(device.clone());
                ensure(new, "PUBLISHED", || format!("{device} is published twice"))
            }
            Action::Withdraw(device) => {
                let known = self.published.remove(&device);
                ensure(known, "PUBLISHED", || {
                    format!("{device} is withdrawn twice")
                })
            }
            Action::Post(post) => {
                let (time, answer, body) = self.receivers.ask(&post, &mut self.dice);
                self.tally.note("posts");
                let event = Event::Answered(post.attempt, answer, body);
                self.agenda.set(self.now + time, event);
                Ok(())
            }
            Action::Store {
                scope,
                kind,
                row,
                then,
            } => {
                self.store(scope, kind, row, then);
                Ok(())
            }
            Action::ReadRows(scope) => {
                let at = self.soon();
                self.agenda.set(at, Event::ReadRows(scope));
                Ok(())
            }
            Action::StoreMark(device, mark) => {
                match mark {
                    Some(mark) => _ = self.stored.marks.insert(device, mark),
                    None => {
                        self.stored.marks.remove(&device);
                        // Whoever subscribes next begins without anything.
                        let id = device.to_string();
                        self.receivers.twins.retain(|(_, of), _| *of != id);
                    }
                }
                Ok(())
            }
            Action::Bury(_) => {
                self.tally.note("dead letters");
                Ok(())
            }
            Action::Note(Note::LinkRefused(..)) => {
                self.tally.note("links refused");
                Ok(())
            }
            Action::Exhume(_)
            | Action::Service(..)
            | Action::ServiceNews(..)
            | Action::Register(_)
            | Action::StoreHub(_)
            | Action::Changed { .. }
            | Action::LookAtClock(..)
            | Action::Note(_) => Ok(()),
        }
    }

    fn open(&mut self, open: Open) -> Result<(), Violation> {
        let key = open.place.connection;
        ensure(!self.over.contains(&key), "CONNECTION-OVER", || {
            format!("{} is to be opened on {key:?}, which is over", open.device)
        })?;
        if !self.connections.contains_key(&key) {
            let at = self.soon();
            self.agenda.set(at, Event::Ready(key));
        }
        let connection = self.connections.entry(key).or_default();
        if connection.ready {
            self.send(open.place.attempt, ToHub::Open(key, open.wants));
        } else {
            connection.waiting.push(open);
        }
        Ok(())
    }

    fn close(&mut self, key: ConnectionKey, attempt: AttemptId) {
        let connection = self.connections.get_mut(&key);
        let waiting = connection.map(|connection| {
            let before = connection.waiting.len();
            connection
                .waiting
                .retain(|open| open.place.attempt != attempt);
            connection.waiting.len() < before
        });
        match waiting {
            // The hub has not received it.
            Some(true) => self.tell(attempt, SessionEvent::Closed),
            _ => self.send(attempt, ToHub::Close),
        }
    }

    fn settles(
        &mut self,
        place: Location<u32>,
        delivery: u64,
        outcome: Outcome,
        letter: Option<Box<DeadLetter<Receiver>>>,
        caller: Option<Caller>,
    ) -> Result<(), Violation> {
        let by_caller = caller.is_some();
        let refuses = outcome == Outcome::Reject && !by_caller;
        ensure(
            !refuses || letter.is_some(),
            "REJECTED-WITH-A-LETTER",
            || format!("message {delivery} is rejected, and nothing is kept of it"),
        )?;
        let completes = outcome == Outcome::Complete && !by_caller;
        let taken = self.receivers.taken.contains(&delivery);
        ensure(!completes || taken, "COMPLETED-WHEN-TAKEN", || {
            format!("message {delivery} is completed, and was not taken")
        })?;
        let to_hub = ToHub::Settle(delivery, outcome, caller);
        self.send(place.attempt, to_hub);
        Ok(())
    }

    fn read_twin(&mut self, place: Location<u32>) {
        let device = self.device_of(place.attempt);
        let fails = self.troubles.twins_fail && self.dice.percent(60);
        let twin = device.filter(|_| !fails).map(|device| {
            let section = self.hub.devices[device].twin.json();
            Bytes::from(format!("{{\"desired\":{section},\"reported\":{{}}}}"))
        });
        self.tally.note("twins read");
        let at = self.arrival(place.attempt);
        self.agenda.set(at, Event::TwinRead(place.attempt, twin));
    }

    fn store(
        &mut self,
        scope: Scope,
        kind: SubscriptionType,
        row: Option<Row<Receiver>>,
        then: Then<Sim>,
    ) {
        let fails = self.troubles.store_fails && self.dice.percent(50);
        if !fails {
            let key = (scope.clone(), kind);
            match row {
                Some(row) => _ = self.stored.rows.insert(key, row),
                None => _ = self.stored.rows.remove(&key),
            }
        }
        let result = if fails { Err(Some(())) } else { Ok(()) };
        let at = self.soon();
        self.agenda.set(at, Event::Written(scope, result, then));
    }

    fn answered(&mut self, caller: &Caller, answer: Response<Sim>) -> Result<(), Violation> {
        self.callers.remove(&caller.number);
        if let Response::Message(Some(held)) = answer {
            return self.handed_out(caller.device, *held);
        }
        Ok(())
    }

    /// A caller has a message.
    fn handed_out(&mut self, device: DeviceNo, held: Held) -> Result<(), Violation> {
        self.tally.note("messages handed out");
        let number = held.message.sequence_number.unwrap_or_default();
        let before = self.held.get(&device).cloned();
        let is_same = before
            .as_ref()
            .filter(|(token, ..)| *token == held.lock_token);
        let since = is_same.map_or(self.now, |(.., since)| *since);
        ensure(self.now <= since + C2D_HOLD, "HOLD-ENDS", || {
            format!("device {device} has had {number} since {since:?}")
        })?;
        let holds = (held.lock_token.clone(), number, since);
        self.held.insert(device, holds);
        // The same one comes again until it is settled, as nothing may overtake it.
        let locked = before.filter(|(_, before, _)| {
            let messages = &self.hub.devices[device].messages;
            *before != number && {
                let locked = |message: &hub::Message| {
                    message.lock.is_some_and(|(until, _)| until > self.now)
                };
                messages.iter().any(|it| it.number == *before && locked(it))
            }
        });
        ensure(locked.is_none(), "ONE-HOLD", || {
            format!("device {device} has {number}, and {locked:?} is held as well")
        })?;
        let at = self.now + self.dice.seconds(0.1, 80.0);
        if self.dice.percent(80) {
            self.agenda
                .set(at, Event::SettleHeld(device, held.lock_token));
        }
        Ok(())
    }

    pub(super) fn device_of(&self, attempt: AttemptId) -> Option<DeviceNo> {
        let id = self.controller.fleet().id(attempt.device)?;
        self.number(id)
    }

    /// Puts something on its way to the hub.
    pub(super) fn send(&mut self, attempt: AttemptId, message: ToHub) {
        let Some(device) = self.device_of(attempt) else {
            return;
        };
        let delay = self.dice.seconds(0.001, 0.5);
        let (there, _) = self.arrivals.entry(attempt).or_default();
        *there = (*there).max(self.now + delay);
        self.agenda
            .set(*there, Event::AtHub(device, attempt, message));
    }

    /// When something that the hub sends now arrives at the client.
    pub(super) fn arrival(&mut self, attempt: AttemptId) -> Duration {
        let delay = self.dice.seconds(0.001, 0.5);
        let (_, here) = self.arrivals.entry(attempt).or_default();
        *here = (*here).max(self.now + delay);
        *here
    }

    pub(super) fn tell(&mut self, attempt: AttemptId, event: SessionEvent<Sim>) {
        let at = self.arrival(attempt);
        self.agenda
            .set(at, Event::AtClient(attempt, Box::new(event)));
    }

    pub(super) fn soon(&mut self) -> Duration {
        self.now + self.dice.seconds(0.001, 1.0)
    }

    pub(super) fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deed => self.deed(),
            Event::Resubscribe(_) if self.calm => Ok(()),
            Event::Resubscribe(device) => self.resubscribe(device),
            Event::Due => {
                self.due.pop_first();
                Ok(())
            }
            Event::Ready(key) => self.ready(key),
            Event::Gone(key) => {
                let known = self.connections.remove(&key);
                self.over.insert(key);
                let failure = Failure::local(FailureKind::ConnectionLost, "the connection broke");
                if known.is_none() {
                    return Ok(());
                }
                let event = ConnectionEvent::Ended(failure);
                let hub = ServiceId::of(1);
                self.handle(Input::Connection { hub, key, event })
            }
            Event::AtHub(device, attempt, message) => self.at_hub(device, attempt, message),
            Event::AtClient(attempt, event) => self.at_client(attempt, *event),
            Event::LockEnds(device) => {
                self.deliver(device);
                Ok(())
            }
            Event::MethodDue(device, number) => {
                let open = self.hub.devices[device].methods.contains_key(&number);
                ensure(!open, "METHOD-ANSWERED", || {
                    format!(
                        "method {number} of device {device} has no answer, and its session stands"
                    )
                })
            }
            Event::Answered(attempt, answer, body) => self.handle(Input::Answered {
                attempt,
                answer,
                body,
            }),
            Event::Written(scope, result, then) => self.handle(Input::Written {
                scope,
                result,
                then,
            }),
            Event::ReadRows(scope) => {
                let rows = self.stored.rows.iter();
                let rows = rows.filter(|((of, _), _)| *of == scope);
                let rows = rows.map(|((_, kind), row)| (*kind, row.clone()));
                let rows = Some(rows.collect());
                self.handle(Input::Rows { scope, rows })
            }
            Event::TwinRead(attempt, twin) => self.handle(Input::TwinRead(attempt, twin)),
            Event::Settled(attempt, result, caller) => self.handle(Input::Settled {
                attempt,
                result,
                caller,
            }),
            Event::SettleHeld(device, token) => self.settle_held(device, token),
            Event::HangUp(number) => {
                if let Some(caller) = self.callers.remove(&number) {
                    caller.is_gone.set(true);
                }
                Ok(())
            }
            Event::Calm(trouble) => {
                self.troubles.end(trouble);
                Ok(())
            }
        }
    }
}
