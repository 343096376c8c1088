//! Two engines joined by a wire without sockets, on virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use crate::engine::{Config, Connection, Event};

/// One end: the engine and its events.
pub(super) struct End {
    pub(super) connection: Connection,
    pub(super) events: VecDeque<Event>,
    wire: BytesMut,
}

/// A client and a server.
pub(super) struct Pair {
    pub(super) client: End,
    pub(super) server: End,
    pub(super) now: Duration,
    /// Bytes that arrive at once; small values split frames anywhere.
    pub(super) chunk: usize,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            events: VecDeque::new(),
            wire: BytesMut::new(),
        }
    }

    /// Takes the oldest event.
    pub(super) fn next(&mut self) -> Event {
        self.events.pop_front().expect("an event")
    }

    /// Takes the oldest event that is wanted, which must be there.
    pub(super) fn take(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let position = self.events.iter().position(wanted).expect("the event");
        self.events.remove(position).expect("the event")
    }

    /// Takes all events.
    pub(super) fn drain(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    fn write(&mut self, now: Duration) {
        let output = self.connection.poll_output();
        if !output.is_empty() {
            self.wire.unsplit(output.split());
            self.connection.wrote(now);
        }
    }

    fn read(&mut self, wire: &mut BytesMut, chunk: usize, now: Duration) {
        while !wire.is_empty() {
            let part = wire.split_to(chunk.min(wire.len()));
            self.connection.input().extend_from_slice(&part);
            self.connection.received(now);
            self.poll(now);
        }
        self.poll(now);
    }

    fn poll(&mut self, now: Duration) {
        while let Some(event) = self.connection.poll_event(now) {
            self.events.push_back(event);
        }
    }
}

impl Pair {
    pub(super) fn new(client: Connection, server: Connection) -> Self {
        Self {
            client: End::new(client),
            server: End::new(server),
            now: Duration::ZERO,
            chunk: usize::MAX,
        }
    }

    /// Both with the same settings, opened; the events of opening are gone.
    pub(super) fn open(config: Config) -> Self {
        let client = Connection::client(config.clone(), None, Duration::ZERO);
        let server = Connection::server(config, Vec::new(), Duration::ZERO);
        let mut pair = Self::new(client, server);
        pair.settle();
        assert!(matches!(pair.client.next(), Event::Opened(_)));
        assert!(matches!(pair.server.next(), Event::Opened(_)));
        pair
    }

    /// Carries bytes both ways until no more are left. Returns whether there were any.
    pub(super) fn settle(&mut self) -> bool {
        let mut any = false;
        while self.exchange() {
            any = true;
        }
        any
    }

    /// Carries what there is now, once in each direction.
    pub(super) fn exchange(&mut self) -> bool {
        self.client.poll(self.now);
        self.server.poll(self.now);
        self.client.write(self.now);
        self.server.write(self.now);
        let mut to_server = std::mem::take(&mut self.client.wire);
        let mut to_client = std::mem::take(&mut self.server.wire);
        let any = !to_server.is_empty() || !to_client.is_empty();
        self.server.read(&mut to_server, self.chunk, self.now);
        self.client.read(&mut to_client, self.chunk, self.now);
        any
    }

    /// Moves time to `at`, running every deadline on the way.
    pub(super) fn run_until(&mut self, at: Duration) {
        loop {
            self.settle();
            let due = [
                self.client.connection.deadline(),
                self.server.connection.deadline(),
            ];
            match due.into_iter().flatten().min() {
                Some(next) if next <= at => self.now = next.max(self.now),
                _ => break,
            }
            self.client.connection.tick(self.now);
            self.server.connection.tick(self.now);
        }
        self.now = at;
    }
}
