//! The ways between this side, the hubs and DPS.

use std::time::Duration;

use drawspan_fleet::limits::SLOT_MARGIN;
use drawspan_hub::{AttemptId, Failure, FailureKind};

use super::{Event, World};
use crate::check::{Violation, ensure};
use crate::dps::HubNo;
use crate::hub::{DeviceNo, Holder, LineNo, Registered, Session, Token};
use crate::process::{Out, Registration, ToClient, ToHub};
use crate::words;

/// The longest that a connection takes to be found broken, or not to come about.
const SILENCE: Duration = Duration::from_secs(40);

/// How long a connection waits for the hub to take a device, as that of the product does.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(30);

impl World {
    /// Puts what leaves the process on its way.
    pub(super) fn send_out(&mut self) {
        for out in std::mem::take(&mut self.process.out) {
            match out {
                Out::ToHub(hub, line, message) => {
                    if let ToHub::Open(_, attempt, _) = message {
                        let at = self.now + ATTACH_TIMEOUT;
                        self.agenda.set(at, Event::Overdue(line, attempt));
                    }
                    let delay = self.delay(self.hubs[hub].troubles.slow);
                    let (there, _) = self.arrivals.entry(line).or_default();
                    *there = (*there).max(self.now + delay);
                    self.agenda.set(*there, Event::ToHub(hub, line, message));
                }
                Out::Own(line, news) => self.agenda.set(self.now, Event::ToClient(line, news)),
                Out::Register(registration) => {
                    let delay = self.delay(self.dps.troubles.slow);
                    self.agenda
                        .set(self.now + delay, Event::ToDps(registration));
                    let late = Failure::local(FailureKind::Timeout, "DPS did not answer");
                    let late = Event::FromDps(registration, Err(late));
                    self.agenda.set(registration.deadline, late);
                }
            }
        }
    }

    fn delay(&mut self, slow: bool) -> Duration {
        let most = if slow && self.dice.percent(30) {
            SILENCE
        } else {
            self.scenario.latency
        };
        self.dice.between(Duration::ZERO, most)
    }

    pub(super) fn tell(&mut self, slow: bool, line: LineNo, news: ToClient) {
        let delay = self.delay(slow);
        self.tell_after(delay, line, news);
    }

    pub(super) fn tell_after(&mut self, delay: Duration, line: LineNo, news: ToClient) {
        let mut at = self.now + delay;
        if self.scenario.unordered {
            // Sessions overtake each other; what is said of one of them keeps its order.
            if let Some(attempt) = news.attempt() {
                let here = self.of_sessions.entry(attempt).or_default();
                at = at.max(*here);
                *here = at;
            }
        } else {
            let (_, here) = self.arrivals.entry(line).or_default();
            at = at.max(*here);
            *here = at;
        }
        self.agenda.set(at, Event::ToClient(line, news));
    }

    pub(super) fn at_hub(
        &mut self,
        hub: HubNo,
        line: LineNo,
        message: ToHub,
    ) -> Result<(), Violation> {
        let slow = self.hubs[hub].troubles.slow;
        match message {
            // Of a process that is no more.
            ToHub::Connect(_) if !self.process.has(line) => Ok(()),
            ToHub::Connect(token) => {
                match self.hubs[hub].connect(line, token, self.now) {
                    Ok(()) => self.tell(slow, line, ToClient::Ready),
                    Err(failure) => {
                        // Refused at once, or no answer at all.
                        let silent = slow || self.dice.percent(20);
                        self.tell(silent, line, ToClient::Ended(failure));
                    }
                }
                Ok(())
            }
            ToHub::Open(device, attempt, token) => self.open(hub, line, device, attempt, token),
            ToHub::Close(device, attempt) => {
                // On a connection that is gone, its end is the answer.
                if self.hubs[hub].stands(line) {
                    let session = Session { line, attempt };
                    self.hubs[hub].close(device, session, self.now);
                    self.tell(slow, line, ToClient::Closed(attempt));
                }
                Ok(())
            }
            ToHub::Goodbye => {
                let left = self.hubs[hub].attached(line);
                self.hubs[hub].drop_line(line);
                ensure(left == 0, "GOODBYE", || {
                    format!("a connection with {left} devices is closed")
                })
            }
        }
    }

    fn open(
        &mut self,
        hub: HubNo,
        line: LineNo,
        device: DeviceNo,
        attempt: AttemptId,
        token: Token,
    ) -> Result<(), Violation> {
        if !self.hubs[hub].stands(line) {
            return Ok(());
        }
        let slow = self.hubs[hub].troubles.slow;
        let session = Session { line, attempt };
        self.alone(device, session)?;
        let answer = self.hubs[hub].open(device, session, token, self.now, &mut self.dice);
        let news = match answer {
            Ok(held) => {
                if let Some(Holder::Ours(held)) = held {
                    self.stolen(slow, held);
                }
                ToClient::Opened(attempt)
            }
            Err(refusal) => {
                let takes_less = self.scenario.hub_slots < self.scenario.slots;
                let excused = self.clock_was_ahead || takes_less;
                ensure(!refusal.overfilled || excused, "OVERFILLED", || {
                    format!("device {device} is one more than connection {line} takes")
                })?;
                match refusal.of_token {
                    true => ToClient::TokenRefused(attempt, refusal.failure),
                    false => ToClient::OpenFailed(attempt, refusal.failure),
                }
            }
        };
        // A slow hub may not answer at all.
        if !(slow && self.dice.percent(10)) {
            self.tell(slow, line, news);
        }
        Ok(())
    }

    /// No device is live on two connections: any other one is finished for the client.
    fn alone(&self, device: DeviceNo, session: Session) -> Result<(), Violation> {
        let serves = |session: Session| self.process.serves(session.line, session.attempt);
        for other in &self.hubs {
            let Some(held) = other.session(device) else {
                continue;
            };
            // What the client has given up may arrive late and be in its own way.
            let two = held != session && serves(held) && serves(session);
            ensure(!two, "ONE-CONNECTION", || {
                format!(
                    "device {device} has {held:?} at {} and {session:?}",
                    other.host
                )
            })?;
        }
        Ok(())
    }

    pub(super) fn stolen(&mut self, slow: bool, session: Session) {
        let failure = words::amqp("amqp:link:stolen", 400_027);
        let news = ToClient::Lost(session.attempt, failure);
        self.tell(slow, session.line, news);
    }

    /// The client gives up on an answer.
    pub(super) fn overdue(&mut self, line: LineNo, attempt: AttemptId) -> Result<(), Violation> {
        let Some((hub, device)) = self.process.awaits(line, attempt) else {
            return Ok(());
        };
        let failure = Failure::local(FailureKind::Timeout, "no answer");
        self.process
            .out
            .push(Out::ToHub(hub, line, ToHub::Close(device, attempt)));
        let news = ToClient::OpenFailed(attempt, failure);
        self.process.hear(line, news, self.now)
    }

    pub(super) fn at_dps(&mut self, registration: Registration) {
        let device = registration.device;
        let skew = self.process.skew_s;
        let answer = self.dps.register(device, skew, &mut self.dice);
        if let Ok(hub) = answer {
            self.process.tally.note("registered");
            if self.hubs[hub].registered(device) == Registered::No {
                self.hubs[hub].register(device, Registered::Enabled);
            }
        }
        let delay = self.delay(self.dps.troubles.slow);
        self.agenda
            .set(self.now + delay, Event::FromDps(registration, answer));
    }

    /// A connection breaks; the client finds out sooner or later.
    pub(super) fn break_line(&mut self, hub: HubNo, line: LineNo) {
        if self.hubs[hub].drop_line(line) {
            let most = if self.dice.percent(30) {
                SILENCE
            } else {
                self.scenario.latency
            };
            let delay = self.dice.between(Duration::ZERO, most);
            self.tell_after(delay, line, ToClient::Ended(words::lost()));
        }
    }

    /// How far ahead a clock may be without tokens outliving their slots.
    pub(super) fn is_far_ahead(skew_s: i64) -> bool {
        u64::try_from(skew_s).is_ok_and(|ahead| ahead > SLOT_MARGIN.as_secs())
    }
}
