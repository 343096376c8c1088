//! The connections of clients to the protocol heads: what they are, and orders to them.
//!
//! A head enters each connection ([`Connections::enter`]) and gets a [`Connection`], by which others reach the connection's task: they
//! can cut it ([`Cut`]) and have it describe itself ([`Report`]). A request over HTTPS is no connection of this kind.
//!
//! [`Connections::alone`] keeps everybody out for a while: what replaces a hub's whole state waits until no client can see it halfway.

mod order;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use drawspan_hub::HostName;
use drawspan_hub_model::event::Protocol;
use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::clock::Clock;
use crate::limits::{ALONE_MS, ORDERS_MAX};
pub use order::{Cut, CutHow, Order, Part};
pub use report::{Frame, LinkLine, Report, TokenLine};

/// All connections to the protocol heads of an emulator.
#[derive(Debug)]
pub struct Connections {
    clock: Clock,
    last: AtomicU64,
    by_number: Mutex<BTreeMap<u64, Arc<Connection>>>,
    /// Held for reading by who uses the hubs, for writing by who replaces what is in them.
    gate: Arc<RwLock<()>>,
}

/// One connection, as others reach it.
pub struct Connection {
    /// Its number, from 1.
    pub number: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// What is spoken.
    pub protocol: Protocol,
    /// Since when, Unix milliseconds.
    pub since_unix_ms: u64,
    hub: OnceLock<HostName>,
    orders: Mutex<Vec<Order>>,
    wake: Box<dyn Fn() + Send + Sync>,
    severed: Notify,
}

/// A connection that is there until this is dropped.
#[derive(Debug)]
pub struct Entered {
    connection: Arc<Connection>,
    connections: Arc<Connections>,
}

/// The use of the hubs by a request or a connection: while it lasts, nobody is [alone](Connections::alone).
#[derive(Debug)]
pub struct Present(
    #[expect(dead_code, reason = "dropping it is its use")] OwnedRwLockReadGuard<()>,
);

/// Nobody uses the hubs while this lasts.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "dropping it is its use")] OwnedRwLockWriteGuard<()>);

impl Connections {
    /// No connections; times are those of `clock`.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            last: AtomicU64::new(0),
            by_number: Mutex::default(),
            gate: Arc::default(),
        })
    }

    /// A new connection. `wake` has its task look at [`Connection::take_orders`]; it must not block.
    pub fn enter(
        self: &Arc<Self>,
        peer: SocketAddr,
        protocol: Protocol,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Entered {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = Arc::new(Connection {
            number,
            peer,
            protocol,
            since_unix_ms: self.clock.unix_ms(),
            hub: OnceLock::new(),
            orders: Mutex::default(),
            wake: Box::new(wake),
            severed: Notify::new(),
        });
        self.lock().insert(number, Arc::clone(&connection));
        Entered {
            connection,
            connections: Arc::clone(self),
        }
    }

    /// The connection of that number, if it is there.
    pub fn get(&self, number: u64) -> Option<Arc<Connection>> {
        self.lock().get(&number).cloned()
    }

    /// All connections, oldest first.
    pub fn list(&self) -> Vec<Arc<Connection>> {
        self.lock().values().cloned().collect()
    }

    /// Waits until the hubs may be used, and uses them until the result is dropped.
    pub async fn present(&self) -> Present {
        Present(Arc::clone(&self.gate).read_owned().await)
    }

    /// Ends all connections, and waits until nobody uses the hubs. Whoever comes meanwhile waits until the result is dropped. `None` if
    /// a request is still under way after some seconds.
    pub async fn alone(&self) -> Option<Alone> {
        let mut gate = pin!(Arc::clone(&self.gate).write_owned());
        // First in the queue of the gate, so that nobody comes in behind those that are ended.
        let first = poll_fn(|cx| Poll::Ready(gate.as_mut().poll(cx))).await;
        if let Poll::Ready(gate) = first {
            return Some(Alone(gate));
        }
        for connection in self.list() {
            connection.sever();
        }
        let limit = Duration::from_millis(ALONE_MS);
        tokio::time::timeout(limit, gate).await.ok().map(Alone)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.by_number
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// The hub that the client uses, once it is known.
    pub fn set_hub(&self, hub: &HostName) {
        // A client that names another one is refused.
        let _ = self.hub.set(hub.clone());
    }

    /// The hub that the client uses.
    pub fn hub(&self) -> Option<&HostName> {
        self.hub.get()
    }

    /// Gives the connection's task an order. Says whether there is room for it; a task that is over never takes it.
    pub fn order(&self, order: Order) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= ORDERS_MAX {
            return false;
        }
        orders.push(order);
        drop(orders);
        (self.wake)();
        true
    }

    /// The orders since the last time. For the connection's task.
    pub fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the connection's stream dropped without a word to the client.
    pub fn sever(&self) {
        self.severed.notify_one();
    }

    /// Waits until the stream is to be dropped. For the connection's task.
    pub async fn severed(&self) {
        self.severed.notified().await;
    }
}

impl Entered {
    /// The connection.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.connection.number);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("number", &self.number)
            .field("peer", &self.peer)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
