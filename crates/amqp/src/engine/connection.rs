//! The connection itself: its state, how it is driven, how it ends.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use super::config::{ClientSasl, Config};
use super::event::{Closed, CommandError, Event, LinkId, SessionId};
use super::link::Link;
use super::session::Session;
use super::settle::PendingDisposition;
use super::silence::Silence;
use super::slab::Slab;
use super::trace::{self, Trace};
use crate::frame;
use crate::limits;
use crate::performative::{Close, Error, Open, Performative};
use crate::value::Symbol;

/// An AMQP 1.0 connection as a value. `Duration`s are instants of one monotonic clock of the embedder's.
#[derive(Debug)]
pub struct Connection {
    pub(super) config: Config,
    pub(super) side: Side,
    pub(super) phase: Phase,
    pub(super) peer: Peer,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) events: VecDeque<Event>,
    pub(super) sessions: Slab<Session>,
    pub(super) links: Slab<Link>,
    /// Session by the peer's channel; [`NO_SESSION`] if there is no session.
    pub(super) channels: Vec<u32>,
    /// Sessions with queued transfers, each once, in turn.
    pub(super) sendable: VecDeque<u32>,
    pub(super) queued_bytes: usize,
    pub(super) pending_disposition: Option<PendingDisposition>,
    /// Frames that are noted, once that is asked for.
    pub(super) trace: Option<Box<Trace>>,
    phase_since: Duration,
    silence: Silence,
    last_write: Duration,
}

/// Marks a channel that carries no session.
pub(super) const NO_SESSION: u32 = u32::MAX;

#[derive(Debug)]
pub(super) enum Side {
    Client(Option<ClientSasl>),
    /// With the SASL mechanisms on offer.
    Server(Vec<Symbol>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The peer's protocol header is due.
    Header {
        sasl_done: bool,
    },
    /// Client: mechanisms are due.
    SaslMechanisms,
    /// Server: the client's choice is due.
    SaslInit,
    /// Server: the embedder's decision is due; nothing is read.
    SaslDecision,
    /// Client: the outcome is due.
    SaslOutcome,
    /// The peer's open is due.
    Opening,
    Open,
    /// We closed; the peer's close is due.
    CloseSent,
    Done,
}

/// The contents of the peer's open.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) max_frame_bytes: usize,
    pub(super) channel_max: u16,
    idle_time_out: Option<Duration>,
}

impl Connection {
    /// The side that connects. Without `sasl` the AMQP header is the first thing sent, as IoT Hub's own device
    /// clients do it.
    pub fn client(config: Config, sasl: Option<ClientSasl>, now: Duration) -> Self {
        let bare = sasl.is_none();
        let mut connection = Self::new(config, Side::Client(sasl), now);
        if bare {
            connection.write_header_and_open();
        } else {
            connection.output.extend_from_slice(&frame::SASL_HEADER);
        }
        connection
    }

    /// The side that listens. A client may skip SASL; `mechanisms` are offered to one that does not.
    pub fn server(config: Config, mechanisms: Vec<Symbol>, now: Duration) -> Self {
        Self::new(config, Side::Server(mechanisms), now)
    }

    fn new(config: Config, side: Side, now: Duration) -> Self {
        Self {
            peer: Peer {
                max_frame_bytes: limits::MIN_MAX_FRAME_BYTES as usize,
                channel_max: 0,
                idle_time_out: None,
            },
            config,
            side,
            phase: Phase::Header { sasl_done: false },
            input: BytesMut::new(),
            output: BytesMut::new(),
            events: VecDeque::new(),
            sessions: Slab::new(),
            links: Slab::new(),
            channels: Vec::new(),
            sendable: VecDeque::new(),
            queued_bytes: 0,
            pending_disposition: None,
            trace: None,
            phase_since: now,
            silence: Silence::new(now),
            last_write: now,
        }
    }

    /// The buffer for bytes from the peer.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Processes appended bytes.
    pub fn received(&mut self, now: Duration) {
        self.silence.broken(now);
    }

    /// Counts the peer's silence `pace` times as fast as time passes, from now on: 1 unless the peer is judged by another clock. `pace` is
    /// above 0. Heartbeats and the time-outs of open and close stay as they are.
    pub fn set_pace(&mut self, pace: f64, now: Duration) {
        self.silence.set_pace(pace, now);
    }

    /// The next event. Reads at most as many frames as it takes to find one.
    pub fn poll_event(&mut self, now: Duration) -> Option<Event> {
        if let Some(trace) = &mut self.trace {
            trace.now = now;
        }
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.step(now) {
                return None;
            }
        }
    }

    /// Bytes to write, topped up from waiting transfers. Remove what was written, then call [`wrote`](Self::wrote).
    pub fn poll_output(&mut self) -> &mut BytesMut {
        self.flush_disposition();
        self.fill_output();
        if self.output.len() > limits::OUTPUT_HARD_BYTES && self.phase != Phase::Done {
            self.output.clear();
            self.finish(Closed::PeerDoesNotRead);
        }
        &mut self.output
    }

    /// Bytes that wait to be written, messages that wait for a session's window included.
    pub fn waiting_bytes(&self) -> usize {
        self.output.len() + self.queued_bytes
    }

    /// Whether there are bytes to write, waiting transfers not counted.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty() || self.pending_disposition.is_some()
    }

    /// Notes that bytes were written.
    pub fn wrote(&mut self, now: Duration) {
        self.last_write = now;
    }

    /// Frees the memory of empty buffers. Useful when the connection has become idle.
    pub fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// Whether the connection is over.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Sessions that exist.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Links that exist.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// Highest number of sessions that both ends allow; 0 before open.
    pub fn session_capacity(&self) -> usize {
        match self.phase {
            Phase::Open => usize::from(self.peer.channel_max.min(self.config.channel_max)) + 1,
            _ => 0,
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Done => None,
            Phase::Open => [self.silence_deadline(), self.heartbeat_deadline()]
                .into_iter()
                .flatten()
                .min(),
            _ => Some(self.phase_since + Duration::from_millis(limits::HANDSHAKE_TIMEOUT_MS)),
        }
    }

    /// Does what is due: a heartbeat, or giving up on a silent peer.
    pub fn tick(&mut self, now: Duration) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.phase != Phase::Open {
            self.finish(Closed::TimedOut);
            return;
        }
        if self
            .silence_deadline()
            .is_some_and(|deadline| now >= deadline)
        {
            self.emit_close(Some(self.inactive()));
            self.finish(Closed::Silent);
            return;
        }
        frame::encode_empty(&mut self.output);
        // Counted as written at once, so that a stalled socket does not collect heartbeats.
        self.last_write = now;
    }

    /// Closes the connection and everything on it. The [`Closed`] event comes when the peer has agreed.
    pub fn close(&mut self, error: Option<Error>, now: Duration) {
        match self.phase {
            Phase::Open => {
                self.flush_disposition();
                self.fill_output();
                self.emit_close(error);
                self.set_phase(Phase::CloseSent, now);
            }
            Phase::CloseSent | Phase::Done => {}
            _ => self.finish(Closed::ByUs),
        }
    }

    pub(super) fn silence_deadline(&self) -> Option<Duration> {
        let announced_ms = self.config.idle_time_out_ms.filter(|ms| *ms > 0)?;
        let usual_ms = u64::from(announced_ms) * 3 / 2;
        let limit_ms = self.config.silence_ms.map_or(usual_ms, u64::from);
        Some(self.silence.lasts_until(Duration::from_millis(limit_ms)))
    }

    /// The error that closes the connection of a peer that was silent for too long, in the words of Microsoft's AMQP library.
    fn inactive(&self) -> Error {
        let Config {
            container_id,
            idle_time_out_ms,
            ..
        } = &self.config;
        let allowed_ms = idle_time_out_ms.unwrap_or_default();
        let text = format!(
            "The connection was inactive for more than the allowed {allowed_ms} milliseconds and is closed by container '{container_id}'."
        );
        Error::new(crate::performative::condition::CONNECTION_FORCED, text)
    }

    fn heartbeat_deadline(&self) -> Option<Duration> {
        Some(self.last_write + self.peer.idle_time_out? / 2)
    }

    pub(super) fn opened_by_peer(&mut self, open: &Open) {
        self.peer.max_frame_bytes = open.max_frame_size.max(limits::MIN_MAX_FRAME_BYTES) as usize;
        self.peer.channel_max = open.channel_max;
        self.peer.idle_time_out = match open.idle_time_out_ms {
            None | Some(0) => None,
            Some(ms) => Some(Duration::from_millis(u64::from(
                ms.max(limits::MIN_PEER_IDLE_TIME_OUT_MS),
            ))),
        };
    }

    pub(super) fn set_phase(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.phase_since = now;
    }

    /// The peer broke the protocol: tell it, and end.
    pub(super) fn violate(&mut self, error: Error) {
        match (self.phase, &self.side) {
            (Phase::Opening, Side::Server(_)) => {
                self.emit_open();
                self.emit_close(Some(error.clone()));
            }
            (Phase::Open | Phase::Opening, _) => self.emit_close(Some(error.clone())),
            _ => {}
        }
        self.finish(Closed::Violation(error));
    }

    /// Everything is over: state is dropped, the last output stays.
    pub(super) fn finish(&mut self, closed: Closed) {
        if self.phase == Phase::Done {
            return;
        }
        self.phase = Phase::Done;
        self.pending_disposition = None;
        self.sessions = Slab::new();
        self.links = Slab::new();
        self.channels = Vec::new();
        self.sendable = VecDeque::new();
        self.queued_bytes = 0;
        self.input = BytesMut::new();
        self.events.push_back(Event::Closed(closed));
    }

    pub(super) fn emit_close(&mut self, error: Option<Error>) {
        self.emit(0, &Performative::Close(Close { error }));
    }

    /// Writes a frame behind what was decided before it.
    pub(super) fn emit(&mut self, channel: u16, performative: &Performative) {
        self.flush_disposition();
        let before = self.output.len();
        frame::encode_performative(&mut self.output, channel, performative);
        self.trace_sent(channel, before, || trace::of(performative));
    }

    pub(super) fn check_open(&self) -> Result<(), CommandError> {
        if self.phase == Phase::Open {
            Ok(())
        } else {
            Err(CommandError::NotOpen)
        }
    }

    pub(super) fn session_mut(&mut self, id: SessionId) -> Result<&mut Session, CommandError> {
        if self.sessions.generation(id.index) != Some(id.generation) {
            return Err(CommandError::UnknownSession);
        }
        self.sessions
            .get_mut(id.index)
            .ok_or(CommandError::UnknownSession)
    }

    /// A link on which something may still be said: after our end its channel must stay silent (specification 2.5.5).
    pub(super) fn link_mut(&mut self, id: LinkId) -> Result<&mut Link, CommandError> {
        if self.links.generation(id.index) != Some(id.generation) {
            return Err(CommandError::UnknownLink);
        }
        let link = self.links.get_mut(id.index);
        let link = link.ok_or(CommandError::UnknownLink)?;
        match self.sessions.get(link.session) {
            Some(session) if !session.is_ending() => Ok(link),
            _ => Err(CommandError::UnknownLink),
        }
    }

    pub(super) fn session_id(&self, index: u32) -> SessionId {
        SessionId {
            index,
            generation: self.sessions.generation(index).unwrap_or_default(),
        }
    }

    pub(super) fn link_id(&self, index: u32) -> LinkId {
        LinkId {
            index,
            generation: self.links.generation(index).unwrap_or_default(),
        }
    }
}
