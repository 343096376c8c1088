//! The table of callers' connections: their number, their origin, and which of them end when there is no room for another.
//!
//! A new connection is served, and the idlest ones are closed to make room: those of its own address if that is at its limit, or of
//! all if the table is full. If all have a request in progress, the new connection is answered 503 (or as a probe) and closed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drawspan_settings::open_files::Shares;
use tokio::time::Instant;

use super::stop::{Leaving, Shared};
use crate::limits::MAX_TLS_HANDSHAKES;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that are served.
    pub connections: usize,
    /// Connections of one address: of one IPv4 address, or of one /64 network of IPv6.
    pub per_address: usize,
    /// Connections beyond the limit, which are answered 503 and closed.
    pub refusals: usize,
    /// Connections that are being closed and whose callers have not hung up yet.
    pub farewells: usize,
    /// Connections in a TLS handshake.
    pub handshakes: usize,
}

impl Bounds {
    /// The bounds by the process's share of open files. One address may have half of all connections, or as many as are given.
    #[must_use]
    pub fn new(shares: Shares, per_address: Option<usize>) -> Self {
        let all = shares.callers;
        Self {
            connections: all,
            per_address: per_address.unwrap_or(all.div_ceil(2)).min(all),
            refusals: shares.refusals,
            farewells: shares.farewells,
            handshakes: MAX_TLS_HANDSHAKES.min(all),
        }
    }
}

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct Table {
    bounds: Bounds,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    all: HashMap<u64, Row>,
    served: usize,
    crowded: usize,
    leaving: usize,
    handshakes: usize,
    by_network: HashMap<Network, usize>,
}

#[derive(Debug)]
struct Row {
    shared: Arc<Shared>,
    network: Network,
    standing: Standing,
    in_handshake: bool,
}

/// How a connection is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is served.
    Served,
    /// It is answered 503, since there is no room.
    Crowded,
    /// Nothing: it was asked to end.
    Leaving,
}

/// The identity of a caller: an address, or its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// A connection's row in the table, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    table: Arc<Table>,
    id: u64,
    pub(super) shared: Arc<Shared>,
    /// Whether there is no room for it.
    pub(super) crowded: bool,
}

/// The connections and requests in progress, for the shutdown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    pub(super) connections: usize,
    /// Requests under way.
    pub(super) requests: usize,
    /// Connections on which a caller waits for an answer.
    pub(super) waited_for: usize,
    /// When bytes last came or went on any of them.
    pub(super) last_progress: Option<Instant>,
}

impl Table {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            connections: Mutex::default(),
        })
    }

    /// A row for a new connection; `None` if it can only be closed. `in_handshake` says whether it begins with a handshake.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        in_handshake: bool,
        now: Instant,
    ) -> Option<Entry> {
        let network = Network::of(peer);
        let mut connections = self.connections();
        let standing = connections.make_room(network, in_handshake, &self.bounds)?;
        let shared = Arc::new(Shared::new(now));
        let id = connections.next;
        connections.next += 1;
        let row = Row {
            shared: Arc::clone(&shared),
            network,
            standing,
            in_handshake,
        };
        connections.count(&row, 1);
        connections.all.insert(id, row);
        drop(connections);
        Some(Entry {
            table: Arc::clone(self),
            id,
            shared,
            crowded: standing == Standing::Crowded,
        })
    }

    /// Asks some of the idlest connections to end: the system has no more files to give.
    pub(super) fn make_room(&self) {
        let most = batch(self.bounds.connections);
        self.connections().end_idlest(most, &self.bounds, |_| true);
    }

    /// Asks those to end on which nothing came or went for so long, and nothing is being done.
    pub(super) fn end_idle(&self, limit: Duration, now: Instant) {
        let is_over = |row: &Row| now.saturating_duration_since(row.shared.last_progress()) > limit;
        self.connections()
            .end_idlest(usize::MAX, &self.bounds, is_over);
    }

    pub(super) fn activity(&self) -> Activity {
        let connections = self.connections();
        let all = || connections.all.values().map(|row| &row.shared);
        Activity {
            connections: connections.all.len(),
            requests: all().filter(|shared| shared.is_under_way()).count(),
            waited_for: all().filter(|shared| shared.is_waited_for()).count(),
            last_progress: all().map(|shared| shared.last_progress()).max(),
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Decides how a new connection is treated, and closes others for it.
    fn make_room(
        &mut self,
        network: Network,
        in_handshake: bool,
        bounds: &Bounds,
    ) -> Option<Standing> {
        let of_network = self.by_network.get(&network).copied().unwrap_or(0);
        let room = of_network < bounds.per_address
            || self.end_some(bounds.per_address, bounds, |row| row.network == network);
        let room = room
            && (self.served < bounds.connections
                || self.end_some(bounds.connections, bounds, |_| true));
        if in_handshake && self.handshakes >= bounds.handshakes {
            self.end_some(bounds.handshakes, bounds, |row| row.in_handshake);
        }
        if room {
            return Some(Standing::Served);
        }
        let is_crowded = |row: &Row| row.standing == Standing::Crowded;
        let room = self.crowded < bounds.refusals || self.end_idlest(1, bounds, is_crowded) > 0;
        room.then_some(Standing::Crowded)
    }

    /// Ends at least one of the served connections that are meant, if one is idle.
    fn end_some(&mut self, of: usize, bounds: &Bounds, which: impl Fn(&Row) -> bool) -> bool {
        let is_meant = |row: &Row| row.standing == Standing::Served && which(row);
        self.end_idlest(batch(of), bounds, is_meant) > 0
    }

    /// Asks the idlest of the matching connections to end, at most `most` of them, but no busy one. Returns their number.
    fn end_idlest(&mut self, most: usize, bounds: &Bounds, which: impl Fn(&Row) -> bool) -> usize {
        let idle = self.all.iter().filter(|(_, row)| {
            row.standing != Standing::Leaving && !row.shared.is_busy() && which(row)
        });
        let mut idle: Vec<_> = idle
            .map(|(id, row)| (row.shared.last_progress(), *id))
            .collect();
        if idle.len() > most {
            idle.select_nth_unstable(most);
            idle.truncate(most);
        }
        for (_, id) in &idle {
            self.end(*id, bounds);
        }
        idle.len()
    }

    fn end(&mut self, id: u64, bounds: &Bounds) {
        let Some(mut row) = self.all.remove(&id) else {
            return;
        };
        self.count(&row, -1);
        let room = self.leaving < bounds.farewells;
        row.standing = Standing::Leaving;
        row.shared.leave(match room {
            true => Leaving::Told,
            false => Leaving::AtOnce,
        });
        self.count(&row, 1);
        self.all.insert(id, row);
    }

    fn count(&mut self, row: &Row, change: isize) {
        let add = |count: &mut usize| *count = count.saturating_add_signed(change);
        match row.standing {
            Standing::Leaving => return add(&mut self.leaving),
            Standing::Crowded => add(&mut self.crowded),
            Standing::Served => {
                add(&mut self.served);
                let of_network = self.by_network.entry(row.network).or_default();
                add(of_network);
                if *of_network == 0 {
                    self.by_network.remove(&row.network);
                }
            }
        }
        if row.in_handshake {
            add(&mut self.handshakes);
        }
    }
}

/// How many end at once, so that a crowd of connections does not cost a look at all of them for each.
const fn batch(of: usize) -> usize {
    of / 64 + 1
}

impl Network {
    fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl Entry {
    /// The handshake is over.
    pub(super) fn shook_hands(&self) {
        let mut connections = self.table.connections();
        let Some(row) = connections.all.get_mut(&self.id) else {
            return;
        };
        let counted = row.in_handshake && row.standing != Standing::Leaving;
        row.in_handshake = false;
        if counted {
            connections.handshakes = connections.handshakes.saturating_sub(1);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut connections = self.table.connections();
        if let Some(row) = connections.all.remove(&self.id) {
            connections.count(&row, -1);
        }
    }
}

#[cfg(test)]
mod tests;
