//! The last frames of a connection, noted on request: what they are, never what they carry.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::connection::Connection;
use crate::limits::{TRACED_CHARS, TRACED_FRAMES};
use crate::performative::{DeliveryState, Disposition, Error, Flow, Performative, Role, Transfer};

/// A frame that went over the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedFrame {
    /// When, by the connection's clock; not more exact than its wake-ups.
    pub at: Duration,
    /// Whether it was sent from here.
    pub sent: bool,
    /// Its channel.
    pub channel: u16,
    /// Its size.
    pub bytes: usize,
    /// Name and fields of its performative; no payload, no properties, no description of an error.
    pub text: String,
}

/// The frames that are noted.
#[derive(Debug, Default)]
pub(super) struct Trace {
    frames: VecDeque<TracedFrame>,
    pub(super) now: Duration,
}

impl Connection {
    /// Notes frames from now on: as many as [`TRACED_FRAMES`], the newest. Frames of SASL are not noted.
    pub fn trace(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// The frames that were noted, oldest first.
    pub fn traced(&self) -> impl Iterator<Item = &TracedFrame> {
        self.trace.iter().flat_map(|trace| &trace.frames)
    }

    /// Notes the frame that was written behind the first `before` bytes of the output.
    pub(super) fn trace_sent(
        &mut self,
        channel: u16,
        before: usize,
        text: impl FnOnce() -> String,
    ) {
        let bytes = self.output.len().saturating_sub(before);
        if let Some(trace) = &mut self.trace {
            trace.note(true, channel, bytes, text());
        }
    }

    pub(super) fn trace_received(
        &mut self,
        channel: u16,
        bytes: usize,
        text: impl FnOnce() -> String,
    ) {
        if let Some(trace) = &mut self.trace {
            trace.note(false, channel, bytes, text());
        }
    }
}

impl Trace {
    fn note(&mut self, sent: bool, channel: u16, bytes: usize, text: String) {
        while self.frames.len() >= TRACED_FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(TracedFrame {
            at: self.now,
            sent,
            channel,
            bytes,
            text: text.chars().take(TRACED_CHARS).collect(),
        });
    }
}

/// Name and fields of a performative.
pub(super) fn of(performative: &Performative) -> String {
    match performative {
        Performative::Open(open) => {
            let mut text = format!(
                "open container-id={} max-frame-size={} channel-max={}",
                open.container_id, open.max_frame_size, open.channel_max
            );
            push(&mut text, "hostname", open.hostname.as_ref());
            push(&mut text, "idle-time-out", open.idle_time_out_ms);
            text
        }
        Performative::Begin(begin) => {
            let mut text = format!(
                "begin incoming-window={} outgoing-window={}",
                begin.incoming_window, begin.outgoing_window
            );
            push(&mut text, "remote-channel", begin.remote_channel);
            text
        }
        Performative::Attach(attach) => {
            let mut text = format!(
                "attach name={} handle={} role={}",
                attach.name,
                attach.handle,
                role(attach.role)
            );
            let source = attach.source.as_deref();
            let source = source.and_then(|source| source.address.as_ref());
            push(&mut text, "source", source);
            let target = attach.target.as_deref();
            let target = target.and_then(|target| target.address.as_ref());
            push(&mut text, "target", target);
            push(&mut text, "max-message-size", attach.max_message_size);
            text
        }
        Performative::Flow(flow) => of_flow(flow),
        Performative::Transfer(transfer) => of_transfer(transfer, transfer.payload.len()),
        Performative::Disposition(disposition) => of_disposition(disposition),
        Performative::Detach(detach) => {
            let mut text = format!("detach handle={} closed={}", detach.handle, detach.closed);
            push_error(&mut text, detach.error.as_ref());
            text
        }
        Performative::End(end) => {
            let mut text = "end".to_owned();
            push_error(&mut text, end.error.as_ref());
            text
        }
        Performative::Close(close) => {
            let mut text = "close".to_owned();
            push_error(&mut text, close.error.as_ref());
            text
        }
    }
}

pub(super) fn of_flow(flow: &Flow) -> String {
    let mut text = format!("flow incoming-window={}", flow.incoming_window);
    push(&mut text, "handle", flow.handle);
    push(&mut text, "delivery-count", flow.delivery_count);
    push(&mut text, "link-credit", flow.link_credit);
    push(&mut text, "drain", flow.drain.then_some(true));
    text
}

/// A transfer that carries so many bytes.
pub(super) fn of_transfer(transfer: &Transfer, payload_bytes: usize) -> String {
    let mut text = format!("transfer handle={}", transfer.handle);
    push(&mut text, "delivery-id", transfer.delivery_id);
    push(&mut text, "message-format", transfer.message_format);
    push(&mut text, "settled", transfer.settled);
    push(&mut text, "more", transfer.more.then_some(true));
    push(&mut text, "payload-bytes", Some(payload_bytes));
    text
}

pub(super) fn of_disposition(disposition: &Disposition) -> String {
    let mut text = format!(
        "disposition role={} first={} settled={}",
        role(disposition.role),
        disposition.first,
        disposition.settled
    );
    push(&mut text, "last", disposition.last);
    let state = disposition.state.as_ref();
    push(&mut text, "state", state.map(state_of));
    if let Some(DeliveryState::Rejected(error)) = state {
        push_error(&mut text, error.as_ref());
    }
    text
}

fn state_of(state: &DeliveryState) -> &'static str {
    match state {
        DeliveryState::Received { .. } => "received",
        DeliveryState::Accepted => "accepted",
        DeliveryState::Rejected(_) => "rejected",
        DeliveryState::Released => "released",
        _ => "modified",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Sender => "sender",
        Role::Receiver => "receiver",
    }
}

fn push_error(text: &mut String, error: Option<&Error>) {
    push(text, "error", error.map(|error| error.condition.as_str()));
}

fn push(text: &mut String, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        // Writing to a string does not fail.
        let _ = write!(text, " {name}={value}");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::engine::Config;

    #[test]
    fn frames_are_noted_once_asked_for_and_bounded() {
        let mut connection = Connection::server(Config::default(), Vec::new(), Duration::ZERO);
        let close = Performative::Close(crate::performative::Close { error: None });
        connection.emit(0, &close);
        assert_eq!(connection.traced().count(), 0);
        connection.trace();
        for channel in 0..TRACED_FRAMES as u16 + 1 {
            connection.emit(channel, &close);
        }
        assert_eq!(connection.traced().count(), TRACED_FRAMES);
        let first = connection.traced().next().unwrap();
        assert_eq!((first.channel, first.text.as_str()), (1, "close"));
        assert!(first.sent && first.bytes > 8);
    }

    #[test]
    fn a_transfer_shows_no_payload() {
        let transfer = Transfer {
            handle: 3,
            delivery_id: Some(7),
            delivery_tag: None,
            message_format: Some(0),
            settled: Some(false),
            more: false,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
            payload: Bytes::from_static(b"secret"),
        };
        assert_eq!(
            of(&Performative::Transfer(transfer)),
            "transfer handle=3 delivery-id=7 message-format=0 settled=false payload-bytes=6"
        );
    }
}
