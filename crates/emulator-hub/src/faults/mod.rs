//! Faults on request, which are rare at a real hub: given at start (`--fault`), set and lifted at run time by the control API, or asked
//! for by devices (see [`Injection`]).

mod fault;
mod injection;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drawspan_hub::{ErrorCode, HostName};
use drawspan_hub_model::client_id::ClientId;

use crate::clock::Clock;
use crate::connections::{Connection, Connections, Cut, CutHow, Order};
use crate::limits::{FAULTS_MAX, INJECTIONS_MAX};
pub use fault::{Fault, InvalidFault, Operation, Scope};
use injection::Injected;
pub use injection::Injection;

/// The faults of a running emulator. Shared by all heads.
#[derive(Debug)]
pub struct Faults {
    clock: Clock,
    connections: Arc<Connections>,
    table: Mutex<Table>,
    /// Whether there is any, so that who asks often need not wait for the lock.
    any: AtomicBool,
    /// Faults that devices asked for and that have not begun.
    pending: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    active: Vec<Active>,
    last: u32,
}

/// A fault that is caused now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its number, from 1.
    pub number: u32,
    /// The fault.
    pub fault: Fault,
    /// Since when, Unix milliseconds.
    pub since_unix_ms: u64,
    /// Until when, Unix milliseconds; `None` until it is lifted.
    pub until_unix_ms: Option<u64>,
    /// Operations that it was asked about, whether they failed or not.
    asked: u64,
    /// Operations that failed or were slow.
    pub hits: u64,
}

/// As many faults as there may be are active, which are so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} faults are active, which is as many as there may be: lift some")]
pub struct TooManyFaults(pub usize);

impl Faults {
    /// Those that are given from the start.
    pub fn new(clock: Clock, connections: Arc<Connections>, given: &[Fault]) -> Arc<Self> {
        let faults = Self {
            clock,
            connections,
            table: Mutex::default(),
            any: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
        };
        for fault in given {
            if let Err(error) = faults.set(fault.clone(), None) {
                tracing::warn!(%fault, %error, "a fault is left out");
            }
        }
        Arc::new(faults)
    }

    /// No faults, and no connections: for tests.
    #[cfg(any(test, feature = "test-hub"))]
    pub fn none() -> Arc<Self> {
        let clock = Clock::system();
        Self::new(clock.clone(), Connections::new(clock), &[])
    }

    /// The connections that faults cut.
    pub const fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// The emulator's time of day, Unix milliseconds.
    pub fn now_unix_ms(&self) -> u64 {
        self.clock.unix_ms()
    }

    /// Causes a fault from now on, for `life` of the emulator's time or until it is lifted. Returns its number.
    ///
    /// # Errors
    /// When there are too many.
    pub fn set(&self, fault: Fault, life: Option<Duration>) -> Result<u32, TooManyFaults> {
        let now = self.clock.unix_ms();
        let mut table = self.table();
        table.expire(now);
        if table.active.len() >= FAULTS_MAX {
            return Err(TooManyFaults(FAULTS_MAX));
        }
        table.last += 1;
        let number = table.last;
        let life_ms = life.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        tracing::warn!(number, %fault, life_ms, "a fault is caused on request");
        table.active.push(Active {
            number,
            fault,
            since_unix_ms: now,
            until_unix_ms: life_ms.map(|life| now.saturating_add(life)),
            asked: 0,
            hits: 0,
        });
        self.any.store(true, Ordering::Release);
        Ok(number)
    }

    /// Lifts one fault, or all. Returns those that were active.
    pub fn lift(&self, number: Option<u32>) -> Vec<Active> {
        let mut table = self.table();
        table.expire(self.clock.unix_ms());
        let is_meant = |active: &mut Active| number.is_none_or(|number| number == active.number);
        let lifted: Vec<_> = table.active.extract_if(.., is_meant).collect();
        self.any.store(!table.active.is_empty(), Ordering::Release);
        drop(table);
        for Active { number, fault, .. } in &lifted {
            tracing::warn!(number, %fault, "a fault is lifted");
        }
        lifted
    }

    /// Those that are active.
    pub fn list(&self) -> Vec<Active> {
        let mut table = self.table();
        table.expire(self.clock.unix_ms());
        table.active.clone()
    }

    /// Whether any fault is active, or was lately.
    pub fn is_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether the next operation of `client` is refused, and with which code. A share is spread evenly, the same in each run.
    pub fn refusal(
        &self,
        wanted: Operation,
        hub: &HostName,
        client: Option<&ClientId>,
    ) -> Option<ErrorCode> {
        self.find(|active| match &active.fault {
            Fault::Refuse {
                operation,
                scope,
                code,
                share,
            } if *operation == wanted && scope.covers(hub, client) => {
                let share = u64::from(*share);
                let before = active.asked % 100 * share;
                active.asked += 1;
                (before / 100 < (before + share) / 100).then_some(*code)
            }
            _ => None,
        })
    }

    /// How much later the next operation of `client` is answered.
    pub fn delay(
        &self,
        wanted: Operation,
        hub: &HostName,
        client: Option<&ClientId>,
    ) -> Option<Duration> {
        self.find(|active| match &active.fault {
            Fault::Slow {
                operation,
                scope,
                delay,
            } if *operation == wanted && scope.covers(hub, client) => Some(*delay),
            _ => None,
        })
    }

    /// Whether nothing is accepted from a client.
    pub fn stalls(&self, hub: &HostName, client: &ClientId) -> bool {
        let stalls = self.find(|active| match &active.fault {
            Fault::Stall(scope) if scope.covers(hub, Some(client)) => Some(()),
            _ => None,
        });
        stalls.is_some()
    }

    /// Causes what a client asked for by a message over `connection`, after its delay.
    pub fn inject(
        self: &Arc<Self>,
        hub: &HostName,
        client: &ClientId,
        connection: &Arc<Connection>,
        injection: Injection,
    ) {
        let what = client.described();
        let (name, delay) = (injection.name, injection.delay.as_secs_f64());
        let pending = self.pending.fetch_add(1, Ordering::AcqRel);
        if pending >= INJECTIONS_MAX {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            return tracing::warn!(fault = name, client = what, "too many faults wait");
        }
        tracing::warn!(
            fault = name,
            client = what,
            delay,
            "a device asks for a fault"
        );
        let (faults, connection) = (Arc::clone(self), Arc::clone(connection));
        let (hub, client) = (hub.clone(), client.clone());
        tokio::spawn(async move {
            if !injection.delay.is_zero() {
                faults.clock.sleep(injection.delay).await;
            }
            faults.pending.fetch_sub(1, Ordering::AcqRel);
            faults.begin(hub, client, &connection, &injection);
        });
    }

    fn begin(
        &self,
        hub: HostName,
        client: ClientId,
        connection: &Connection,
        injection: &Injection,
    ) {
        let is_amqp = injection::is_amqp(connection.protocol);
        let cut = |how, client| {
            connection.order(Order::Cut(Cut { client, how }));
        };
        match injection.what {
            Injected::Sever => connection.sever(),
            Injected::SeverAmqp if is_amqp => connection.sever(),
            Injected::Amqp(how) if is_amqp => cut(how, Some(client)),
            Injected::Mqtt(how) if !is_amqp => cut(how, Some(client)),
            Injected::Refuse(code) if is_amqp => {
                let fault = Fault::Refuse {
                    operation: Operation::D2c,
                    scope: Scope::Client(hub, client),
                    code,
                    share: 100,
                };
                if let Err(error) = self.set(fault, Some(injection.duration)) {
                    tracing::warn!(fault = injection.name, %error, "a fault is left out");
                }
            }
            Injected::Refuse(_) => cut(CutHow::Connection, Some(client)),
            Injected::SeverAmqp | Injected::Amqp(_) | Injected::Mqtt(_) => {
                tracing::warn!(
                    fault = injection.name,
                    "the device speaks another protocol: nothing happens"
                );
            }
        }
    }

    /// The first thing that `look` finds at an active fault, which counts as a hit.
    fn find<T>(&self, look: impl Fn(&mut Active) -> Option<T>) -> Option<T> {
        if !self.is_any() {
            return None;
        }
        let now = self.clock.unix_ms();
        let mut table = self.table();
        let current = table.active.iter_mut().filter(|it| it.is_current(now));
        for active in current {
            if let Some(found) = look(active) {
                active.hits += 1;
                return Some(found);
            }
        }
        None
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn expire(&mut self, now_unix_ms: u64) {
        self.active.retain(|active| active.is_current(now_unix_ms));
    }
}

impl Active {
    fn is_current(&self, now_unix_ms: u64) -> bool {
        self.until_unix_ms.is_none_or(|until| now_unix_ms < until)
    }
}
