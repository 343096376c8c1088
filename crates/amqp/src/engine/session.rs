//! Sessions: begin and end, windows (specification 2.5).

use std::collections::VecDeque;

use super::connection::{Connection, NO_SESSION};
use super::event::{CommandError, Event, LinkId, SessionId};
use super::link::{Link, NO_LINK};
use super::send::Queued;
use super::trace;
use super::unsettled::Unsettled;
use crate::frame;
use crate::limits;
use crate::performative::{Begin, End, Error, Flow, Performative, Role, condition};

/// The state of a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) state: SessionState,
    /// Link by our handle; [`NO_LINK`] if there is no link.
    pub(super) handles: Vec<u32>,
    /// Peer's handle and link, ascending by handle. Sparse, because the peer chooses the numbers.
    pub(super) remote_handles: Vec<(u32, u32)>,
    pub(super) remote_handle_max: u32,
    pub(super) next_outgoing_id: u32,
    pub(super) next_delivery_id: u32,
    pub(super) remote_incoming_window: u32,
    next_incoming_id: u32,
    incoming_window: u32,
    /// Whether the session announces a window of 0 for the rest of its life.
    window_shut: bool,
    /// Deliveries of ours that the peer has not settled.
    pub(super) sent: Unsettled<Sent>,
    /// Deliveries of the peer that we have not settled, with their link.
    pub(super) received: Unsettled<LinkId>,
    pub(super) queue: VecDeque<Queued>,
    /// The weight of the queue.
    pub(super) queued_bytes: usize,
    /// The embedder found no room, and gets an event when there is some.
    pub(super) room_wanted: bool,
    /// Stands in the connection's list of sessions with queued transfers.
    pub(super) sendable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    BeginSent,
    Mapped {
        remote_channel: u16,
    },
    /// We ended; the peer's end is due. Without a channel when its begin is due too.
    EndSent {
        remote_channel: Option<u16>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) link: LinkId,
    pub(super) context: u64,
}

impl Session {
    fn new(state: SessionState, incoming_window: u32) -> Self {
        Self {
            state,
            handles: Vec::new(),
            remote_handles: Vec::new(),
            remote_handle_max: 0,
            next_outgoing_id: 0,
            next_delivery_id: 0,
            remote_incoming_window: 0,
            next_incoming_id: 0,
            incoming_window,
            window_shut: false,
            sent: Unsettled::new(),
            received: Unsettled::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            room_wanted: false,
            sendable: false,
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state, SessionState::EndSent { .. })
    }

    /// Whether another message would soon be written: not while the peer's window is shut, or much waits already.
    pub(super) fn has_room(&self) -> bool {
        self.remote_incoming_window > 0 && self.queued_bytes < limits::SESSION_QUEUE_BYTES
    }

    pub(super) fn link_of_peer(&self, handle: u32) -> Option<u32> {
        let position = self
            .remote_handles
            .binary_search_by_key(&handle, |(handle, _)| *handle)
            .ok()?;
        self.remote_handles.get(position).map(|(_, link)| *link)
    }

    /// The lowest free handle of ours that the peer allows.
    pub(super) fn free_handle(&self) -> Option<u32> {
        let free = self
            .handles
            .iter()
            .position(|link| *link == NO_LINK)
            .unwrap_or(self.handles.len());
        let handle = u32::try_from(free).ok()?;
        // Until the peer's begin has come its limit is unknown; every peer takes the first handles.
        let known = self.state != SessionState::BeginSent;
        (!known || handle <= self.remote_handle_max).then_some(handle)
    }

    pub(super) fn put_handle(&mut self, handle: u32, link: u32) {
        match self.handles.get_mut(handle as usize) {
            Some(slot) => *slot = link,
            None => self.handles.push(link),
        }
    }

    pub(super) fn links(&self) -> impl Iterator<Item = u32> + '_ {
        self.handles.iter().copied().filter(|link| *link != NO_LINK)
    }

    /// Takes in one transfer frame; an error when the peer overran the window.
    pub(super) fn count_incoming(&mut self) -> Result<(), Error> {
        let Some(window) = self.incoming_window.checked_sub(1) else {
            return Err(Error::new(
                condition::WINDOW_VIOLATION,
                "more transfers than the incoming window allows",
            ));
        };
        self.incoming_window = window;
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        Ok(())
    }

    fn on_begin(&mut self, begin: &Begin, remote_channel: u16) {
        self.state = SessionState::Mapped { remote_channel };
        self.next_incoming_id = begin.next_outgoing_id;
        self.remote_incoming_window = begin.incoming_window;
        self.remote_handle_max = begin.handle_max;
    }

    /// Applies the session part of a flow (specification 2.5.6).
    fn on_flow(&mut self, flow: &Flow) {
        let seen = flow.next_incoming_id.unwrap_or(0);
        let on_their_way = serial_after(self.next_outgoing_id, seen);
        self.remote_incoming_window = flow.incoming_window.saturating_sub(on_their_way);
    }

    /// Deliveries of a link that are queued and of which no frame is written. Only the first in the queue can be begun.
    pub(super) fn unsent(&self, link: &Link) -> u32 {
        let begun = self
            .queue
            .front()
            .is_some_and(|queued| queued.head.begun && queued.head.handle == link.handle);
        link.queued.saturating_sub(u32::from(begun))
    }

    /// A flow that tells our session state.
    pub(super) fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: (self.state != SessionState::BeginSent)
                .then_some(self.next_incoming_id),
            incoming_window: match self.window_shut {
                true => 0,
                false => self.incoming_window,
            },
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: OUTGOING_WINDOW,
            ..Flow::default()
        }
    }
}

/// We keep no copy of sent transfers, so that nothing bounds them but credit and the peer's window.
const OUTGOING_WINDOW: u32 = i32::MAX as u32;

impl Connection {
    /// Begins a session. Links may be attached at once; the begin is answered by [`Event::SessionBegan`].
    pub fn begin(&mut self) -> Result<SessionId, CommandError> {
        self.check_open()?;
        let session = Session::new(SessionState::BeginSent, self.config.incoming_window);
        let capacity = self.session_capacity();
        let (index, generation) = self
            .sessions
            .insert(session, capacity)
            .ok_or(CommandError::TooManySessions)?;
        self.emit_begin(index, None);
        Ok(SessionId { index, generation })
    }

    /// Ends a session and all its links; [`Event::SessionEnded`] comes when the peer has agreed.
    pub fn end(&mut self, session: SessionId, error: Option<Error>) -> Result<(), CommandError> {
        self.check_open()?;
        self.session_mut(session)?;
        self.end_session(session.index, error);
        Ok(())
    }

    /// Gives up waiting for the peer's end. All that is kept of the session is its channel, which stays taken until the peer
    /// answers after all.
    pub fn retire(&mut self, session: SessionId) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.session_mut(session)?;
        if !found.is_ending() {
            return Err(CommandError::WrongState);
        }
        let mut bare = Session::new(found.state, 0);
        bare.sendable = found.sendable;
        let retired = std::mem::replace(found, bare);
        for link in retired.links() {
            self.links.remove(link);
        }
        Ok(())
    }

    /// Announces an incoming window of 0 until [`Self::open_window`], so that the peer may send no more transfers (specification 2.5.6).
    /// Transfers that are on their way already are accepted.
    pub fn shut_window(&mut self, session: SessionId) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.session_mut(session)?;
        if !std::mem::replace(&mut found.window_shut, true) {
            self.emit_session_flow(session.index);
        }
        Ok(())
    }

    /// Announces the usual incoming window again.
    pub fn open_window(&mut self, session: SessionId) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.session_mut(session)?;
        if std::mem::replace(&mut found.window_shut, false) {
            self.emit_session_flow(session.index);
        }
        Ok(())
    }

    pub(super) fn on_begin(&mut self, channel: u16, begin: &Begin) {
        // A peer that uses the channel of a session for another one, after our end, has ended it without a word.
        let before = self.session_on(channel);
        if self.sessions.get(before).is_some_and(Session::is_ending) {
            self.remove_session(before, None);
        }
        if channel > self.config.channel_max || self.session_on(channel) != NO_SESSION {
            let text = format!("channel {channel} is in use or above the announced channel-max");
            return self.violate(Error::new(condition::NOT_ALLOWED, text));
        }
        match begin.remote_channel {
            Some(ours) => self.on_begin_answer(channel, u32::from(ours), begin),
            None => self.on_begin_by_peer(channel, begin),
        }
    }

    fn on_begin_answer(&mut self, channel: u16, index: u32, begin: &Begin) {
        let state = self.sessions.get(index).map(|session| session.state);
        match state {
            Some(SessionState::BeginSent) => {
                if let Some(session) = self.sessions.get_mut(index) {
                    session.on_begin(begin, channel);
                }
                self.map_channel(channel, index);
                let session = self.session_id(index);
                self.events.push_back(Event::SessionBegan {
                    session,
                    by_peer: false,
                });
            }
            Some(SessionState::EndSent {
                remote_channel: None,
            }) => {
                if let Some(session) = self.sessions.get_mut(index) {
                    session.state = SessionState::EndSent {
                        remote_channel: Some(channel),
                    };
                }
                self.map_channel(channel, index);
            }
            _ => self.violate(Error::new(
                condition::NOT_ALLOWED,
                "begin answers no begin of ours",
            )),
        }
    }

    fn on_begin_by_peer(&mut self, channel: u16, begin: &Begin) {
        let mut session = Session::new(
            SessionState::Mapped {
                remote_channel: channel,
            },
            self.config.incoming_window,
        );
        session.on_begin(begin, channel);
        let Some((index, generation)) = self.sessions.insert(session, self.session_capacity())
        else {
            return self.violate(Error::new(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "no channel is left",
            ));
        };
        self.map_channel(channel, index);
        self.emit_begin(index, Some(channel));
        let session = SessionId { index, generation };
        self.events.push_back(Event::SessionBegan {
            session,
            by_peer: true,
        });
    }

    pub(super) fn on_end(&mut self, index: u32, error: Option<Error>) {
        let Some(session) = self.sessions.get(index) else {
            return;
        };
        if !session.is_ending() {
            self.emit(channel_of(index), &Performative::End(End::default()));
        }
        self.remove_session(index, error);
    }

    /// The peer broke the session's rules: the session ends, the connection stays.
    pub(super) fn end_session(&mut self, index: u32, error: Option<Error>) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let remote_channel = match session.state {
            SessionState::EndSent { .. } => return,
            SessionState::BeginSent => None,
            SessionState::Mapped { remote_channel } => Some(remote_channel),
        };
        session.state = SessionState::EndSent { remote_channel };
        session.queue.clear();
        let dropped = std::mem::take(&mut session.queued_bytes);
        self.queued_bytes = self.queued_bytes.saturating_sub(dropped);
        self.emit(channel_of(index), &Performative::End(End { error }));
    }

    fn remove_session(&mut self, index: u32, error: Option<Error>) {
        let id = self.session_id(index);
        let Some(session) = self.sessions.remove(index) else {
            return;
        };
        for link in session.links() {
            self.links.remove(link);
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(session.queued_bytes);
        if session.sendable {
            // The index will be another session's.
            self.sendable.retain(|waiting| *waiting != index);
        }
        let (SessionState::Mapped { remote_channel }
        | SessionState::EndSent {
            remote_channel: Some(remote_channel),
        }) = session.state
        else {
            return;
        };
        if let Some(slot) = self.channels.get_mut(usize::from(remote_channel)) {
            *slot = NO_SESSION;
        }
        self.events
            .push_back(Event::SessionEnded { session: id, error });
    }

    pub(super) fn on_flow(&mut self, index: u32, flow: &Flow) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        session.on_flow(flow);
        match flow.handle {
            Some(handle) => self.on_link_flow(index, handle, flow),
            None if flow.echo => self.emit_session_flow(index),
            None => {}
        }
        self.tell_room(index);
    }

    /// Notifies an embedder that waits for room in a session.
    pub(super) fn tell_room(&mut self, index: u32) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        if !session.room_wanted || session.is_ending() || !session.has_room() {
            return;
        }
        session.room_wanted = false;
        let session = self.session_id(index);
        self.events.push_back(Event::Room { session });
    }

    /// Gives the peer a new window once half of the old one is used.
    pub(super) fn refresh_window(&mut self, index: u32) {
        let full = self.config.incoming_window;
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        if session.window_shut || session.incoming_window > full / 2 {
            return;
        }
        session.incoming_window = full;
        self.emit_session_flow(index);
    }

    fn emit_session_flow(&mut self, index: u32) {
        let Some(flow) = self.sessions.get(index).map(Session::flow) else {
            return;
        };
        self.flush_disposition();
        let (channel, before) = (channel_of(index), self.output.len());
        frame::encode_flow(&mut self.output, channel, &flow);
        self.trace_sent(channel, before, || trace::of_flow(&flow));
    }

    fn emit_begin(&mut self, index: u32, remote_channel: Option<u16>) {
        let begin = Begin {
            remote_channel,
            next_outgoing_id: 0,
            incoming_window: self.config.incoming_window,
            outgoing_window: OUTGOING_WINDOW,
            handle_max: self.config.handle_max,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        self.emit(channel_of(index), &Performative::Begin(Box::new(begin)));
    }

    fn session_on(&self, channel: u16) -> u32 {
        self.channels
            .get(usize::from(channel))
            .copied()
            .unwrap_or(NO_SESSION)
    }

    fn map_channel(&mut self, channel: u16, index: u32) {
        let channel = usize::from(channel);
        if self.channels.len() <= channel {
            self.channels.resize(channel + 1, NO_SESSION);
        }
        if let Some(slot) = self.channels.get_mut(channel) {
            *slot = index;
        }
    }
}

/// How far `ours` is ahead of `theirs` in serial numbers (RFC 1982); 0 when a peer claims to be ahead of us.
pub(super) fn serial_after(ours: u32, theirs: u32) -> u32 {
    let ahead = ours.wrapping_sub(theirs);
    if ahead > i32::MAX as u32 { 0 } else { ahead }
}

/// A session's index is its channel; the slab is capped by channel-max.
pub(super) fn channel_of(index: u32) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// Whether `disposition_role` speaks of deliveries that we sent.
pub(super) fn concerns_sent(disposition_role: Role) -> bool {
    disposition_role == Role::Receiver
}
