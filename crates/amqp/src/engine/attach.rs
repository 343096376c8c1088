//! Attaching links, from either end (specification 2.6.3).

use super::config::{AcceptOptions, Credit, LinkOptions};
use super::connection::Connection;
use super::event::{CommandError, Event, LinkId, SessionId};
use super::link::{Link, LinkState, NO_LINK};
use super::session::channel_of;
use crate::limits;
use crate::performative::{Attach, Error, Performative, Role, condition};

impl Connection {
    /// Attaches a link. [`Event::Attached`] or [`Event::Detached`] follows.
    pub fn attach(
        &mut self,
        session: SessionId,
        options: LinkOptions,
    ) -> Result<LinkId, CommandError> {
        self.check_open()?;
        if self.session_mut(session)?.is_ending() {
            return Err(CommandError::UnknownSession);
        }
        let max_message_bytes = match options.role {
            Role::Sender => u64::MAX,
            Role::Receiver => options
                .max_message_bytes
                .unwrap_or(limits::MAX_MESSAGE_BYTES),
        };
        let link = Link {
            session: session.index,
            role: options.role,
            state: LinkState::AttachSent {
                credit: options.credit,
            },
            handle: NO_LINK,
            rcv_settle_mode: options.rcv_settle_mode,
            delivery_count: 0,
            credit: 0,
            excess: 0,
            queued: 0,
            drain_answer_due: false,
            auto_credit: 0,
            unsettled: 0,
            max_message_bytes,
            name: Some(options.name.as_str().into()),
            partial: None,
        };
        let id = self.insert_link(link).ok_or(CommandError::TooManyLinks)?;
        let handle = self.handle_of(id.index);
        let attach = Attach {
            name: options.name,
            handle,
            role: options.role,
            snd_settle_mode: options.snd_settle_mode,
            rcv_settle_mode: options.rcv_settle_mode,
            source: Some(Box::new(options.source)),
            target: Some(Box::new(options.target)),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: (options.role == Role::Sender).then_some(0),
            max_message_size: options.max_message_bytes,
            offered_capabilities: None,
            desired_capabilities: options.desired_capabilities,
            properties: options.properties,
        };
        self.emit(
            channel_of(session.index),
            &Performative::Attach(Box::new(attach)),
        );
        Ok(id)
    }

    /// Answers [`Event::AttachRequested`]: takes the link.
    pub fn accept(&mut self, link: LinkId, options: AcceptOptions) -> Result<(), CommandError> {
        self.check_open()?;
        let (found, attach) = self.take_request(link)?;
        if found.role == Role::Receiver {
            let limit = options
                .max_message_bytes
                .unwrap_or(limits::MAX_MESSAGE_BYTES);
            found.max_message_bytes = limit.saturating_add(options.slack_bytes);
        }
        let (handle, role, session) = (found.handle, found.role, found.session);
        let attach = *attach;
        let source = options
            .source
            .or_else(|| attach.source.map(|source| *source))
            .unwrap_or_default();
        let target = options
            .target
            .or_else(|| attach.target.map(|target| *target))
            .unwrap_or_default();
        let answer = Attach {
            name: attach.name,
            handle,
            role,
            snd_settle_mode: attach.snd_settle_mode,
            rcv_settle_mode: attach.rcv_settle_mode,
            source: Some(Box::new(source)),
            target: Some(Box::new(target)),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: options.max_message_bytes,
            offered_capabilities: options.offered_capabilities,
            desired_capabilities: None,
            properties: options.properties,
        };
        self.emit(channel_of(session), &Performative::Attach(Box::new(answer)));
        if role == Role::Receiver {
            self.start_credit(link.index, options.credit.unwrap_or(Credit::Manual(0)));
        }
        Ok(())
    }

    /// Answers [`Event::AttachRequested`]: attaches without termini, then detaches with the reason.
    pub fn refuse(&mut self, link: LinkId, error: Error) -> Result<(), CommandError> {
        self.check_open()?;
        let (_, attach) = self.take_request(link)?;
        self.emit_refusal(link.index, *attach);
        self.detach_link(link.index, true, Some(error));
        Ok(())
    }

    /// The attach without termini that comes before a refusing detach.
    pub(super) fn emit_refusal(&mut self, index: u32, attach: Attach) {
        let Some(link) = self.links.get(index) else {
            return;
        };
        let (handle, role, session) = (link.handle, link.role, link.session);
        let answer = Attach {
            handle,
            role,
            source: None,
            target: None,
            unsettled: None,
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
            ..attach
        };
        self.emit(channel_of(session), &Performative::Attach(Box::new(answer)));
    }

    pub(super) fn on_attach(&mut self, session: u32, attach: Box<Attach>) {
        let Some(found) = self.sessions.get(session) else {
            return;
        };
        if attach.handle > self.config.handle_max || found.link_of_peer(attach.handle).is_some() {
            let text = format!(
                "handle {} is in use or above the announced handle-max",
                attach.handle
            );
            return self.end_session(session, Some(Error::new(condition::HANDLE_IN_USE, text)));
        }
        if attach.name.len() > limits::MAX_NAME_BYTES {
            let text = format!("link names may have {} bytes", limits::MAX_NAME_BYTES);
            return self.end_session(session, Some(Error::new(condition::NOT_ALLOWED, text)));
        }
        match self.link_named(session, &attach) {
            Some((index, true)) => self.on_attach_answer(session, index, attach),
            Some((index, false)) => {
                self.detach_link(
                    index,
                    true,
                    Some(Error::new(condition::LINK_STOLEN, "attached anew")),
                );
                self.on_attach_request(session, attach);
            }
            None => self.on_attach_request(session, attach),
        }
    }

    /// The live link of that name and direction, and whether the peer's attach answers it.
    fn link_named(&self, session: u32, attach: &Attach) -> Option<(u32, bool)> {
        let named = |index| {
            let link: &Link = self.links.get(index)?;
            if link.role == attach.role || link.name.as_deref() != Some(attach.name.as_str()) {
                return None;
            }
            match link.state {
                // The older one, when a name was given up and taken again before the peer answered.
                LinkState::DetachSent { attach_due: true } => Some((0, index, true)),
                LinkState::AttachSent { .. } => Some((1, index, true)),
                LinkState::Attached => Some((2, index, false)),
                _ => None,
            }
        };
        let links = self.sessions.get(session)?.links();
        let (_, index, answers) = links.filter_map(named).min_by_key(|(rank, ..)| *rank)?;
        Some((index, answers))
    }

    fn on_attach_answer(&mut self, session: u32, index: u32, attach: Box<Attach>) {
        self.map_handle(session, attach.handle, index);
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        link.name = None;
        if let LinkState::DetachSent { attach_due } = &mut link.state {
            *attach_due = false;
            return;
        }
        let missing = match link.role {
            Role::Sender => attach.target.is_none(),
            Role::Receiver => attach.source.is_none(),
        };
        if missing {
            link.state = LinkState::Refused;
            return;
        }
        let before = std::mem::replace(&mut link.state, LinkState::Attached);
        match link.role {
            Role::Sender => link.max_message_bytes = limit(attach.max_message_size),
            Role::Receiver => link.delivery_count = attach.initial_delivery_count.unwrap_or(0),
        }
        let receiver = link.role == Role::Receiver;
        self.events.push_back(Event::Attached {
            link: self.link_id(index),
            attach,
        });
        if let (LinkState::AttachSent { credit }, true) = (before, receiver) {
            self.start_credit(index, credit);
        }
    }

    fn on_attach_request(&mut self, session: u32, attach: Box<Attach>) {
        let (role, max_message_bytes, delivery_count) = match attach.role {
            Role::Sender => (
                Role::Receiver,
                limits::MAX_MESSAGE_BYTES,
                attach.initial_delivery_count.unwrap_or(0),
            ),
            Role::Receiver => (Role::Sender, limit(attach.max_message_size), 0),
        };
        let link = Link {
            session,
            role,
            state: LinkState::Requested {
                attach: attach.clone(),
            },
            handle: NO_LINK,
            rcv_settle_mode: attach.rcv_settle_mode,
            delivery_count,
            credit: 0,
            excess: 0,
            queued: 0,
            drain_answer_due: false,
            auto_credit: 0,
            unsettled: 0,
            max_message_bytes,
            name: Some(attach.name.as_str().into()),
            partial: None,
        };
        let Some(id) = self.insert_link(link) else {
            let text = "no handle is left for another link";
            return self.end_session(
                session,
                Some(Error::new(condition::RESOURCE_LIMIT_EXCEEDED, text)),
            );
        };
        self.map_handle(session, attach.handle, id.index);
        let session = self.session_id(session);
        self.events.push_back(Event::AttachRequested {
            session,
            link: id,
            attach,
        });
    }

    fn start_credit(&mut self, index: u32, credit: Credit) {
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        let (auto_credit, now) = match credit {
            Credit::Manual(credit) => (0, credit),
            Credit::Auto(credit) => (credit, credit),
        };
        link.auto_credit = auto_credit;
        link.set_credit(now);
        if now > 0 {
            self.emit_link_flow(index, false);
        }
    }

    /// Stores a link and gives it a handle.
    fn insert_link(&mut self, mut link: Link) -> Option<LinkId> {
        let session = self.sessions.get_mut(link.session)?;
        let handle = session.free_handle()?;
        link.handle = handle;
        let (index, generation) = self.links.insert(link, limits::MAX_LINKS)?;
        session.put_handle(handle, index);
        Some(LinkId { index, generation })
    }

    fn handle_of(&self, index: u32) -> u32 {
        self.links.get(index).map_or(NO_LINK, |link| link.handle)
    }

    fn map_handle(&mut self, session: u32, handle: u32, index: u32) {
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        if let Err(position) = session
            .remote_handles
            .binary_search_by_key(&handle, |(handle, _)| *handle)
        {
            session.remote_handles.insert(position, (handle, index));
        }
    }

    /// The peer's attach that waits for an answer; the link counts as attached from here.
    fn take_request(&mut self, link: LinkId) -> Result<(&mut Link, Box<Attach>), CommandError> {
        let found = self.link_mut(link)?;
        match std::mem::replace(&mut found.state, LinkState::Attached) {
            LinkState::Requested { attach } => Ok((found, attach)),
            other => {
                found.state = other;
                Err(CommandError::WrongState)
            }
        }
    }
}

/// 0 and absent mean no limit.
fn limit(max_message_size: Option<u64>) -> u64 {
    match max_message_size {
        None | Some(0) => u64::MAX,
        Some(bytes) => bytes,
    }
}
