//! Dispatch of input: one frame at a time, from bytes to handlers.

use std::time::Duration;

use bytes::Bytes;

use super::connection::{Connection, NO_SESSION, Phase};
use super::event::Closed;
use super::trace;
use crate::frame::{self, FrameKind, RawFrame};
use crate::performative::{Error, Performative, condition};

impl Connection {
    /// Handles one thing from the input; false when there is nothing whole.
    pub(super) fn step(&mut self, now: Duration) -> bool {
        match self.phase {
            Phase::Header { sasl_done } => self.step_header(sasl_done, now),
            Phase::SaslDecision => self.wait_for_decision(),
            Phase::Done => {
                self.input.clear();
                false
            }
            _ => self.step_frame(now),
        }
    }

    /// While the embedder decides, a peer may be a frame ahead, not more.
    fn wait_for_decision(&mut self) -> bool {
        let too_much = self.input.len() > self.config.max_frame_bytes as usize;
        if too_much {
            let text = "too much came before the outcome of SASL";
            self.violate(Error::new(condition::FRAMING_ERROR, text));
        }
        too_much
    }

    fn step_frame(&mut self, now: Duration) -> bool {
        match frame::split_frame(&mut self.input, self.config.max_frame_bytes) {
            Ok(Some(raw)) => {
                self.on_frame(raw, now);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.violate(Error::new(condition::FRAMING_ERROR, error.to_string()));
                true
            }
        }
    }

    fn on_frame(&mut self, raw: RawFrame, now: Duration) {
        let in_sasl = matches!(
            self.phase,
            Phase::SaslMechanisms | Phase::SaslInit | Phase::SaslOutcome
        );
        match (raw.kind, in_sasl) {
            (FrameKind::Sasl, true) => self.on_sasl(raw.body, now),
            (FrameKind::Amqp, false) => self.on_amqp(raw.channel, raw.body, now),
            _ => self.violate(Error::new(
                condition::FRAMING_ERROR,
                "frame type out of turn",
            )),
        }
    }

    fn on_amqp(&mut self, channel: u16, body: Bytes, now: Duration) {
        let bytes = body.len() + frame::HEADER_BYTES;
        match frame::decode_performative(body) {
            Ok(None) => {}
            Ok(Some(performative)) => {
                self.trace_received(channel, bytes, || trace::of(&performative));
                self.on_performative(channel, performative, now);
            }
            Err(error) => self.violate(Error::new(condition::DECODE_ERROR, error.to_string())),
        }
    }

    fn on_performative(&mut self, channel: u16, performative: Performative, now: Duration) {
        match (self.phase, performative) {
            (Phase::Opening | Phase::Open, Performative::Open(open)) => self.on_open(open, now),
            (Phase::Opening, _) => {
                self.violate(Error::new(condition::ILLEGAL_STATE, "open must come first"))
            }
            (_, Performative::Close(close)) => self.on_close(close.error),
            // After our close everything but the peer's close is thrown away (specification 2.4.6).
            (Phase::CloseSent, _) => {}
            (_, Performative::Begin(begin)) => self.on_begin(channel, &begin),
            (_, performative) => self.on_session_frame(channel, performative),
        }
    }

    fn on_session_frame(&mut self, channel: u16, performative: Performative) {
        let session = self
            .channels
            .get(usize::from(channel))
            .copied()
            .unwrap_or(NO_SESSION);
        let Some(ending) = self.sessions.get(session).map(|found| found.is_ending()) else {
            // Proton detaches links after the end of their session, which took them along.
            if let Performative::Detach(_) = performative {
                return;
            }
            let text = format!("channel {channel} carries no session");
            return self.violate(Error::new(condition::ILLEGAL_STATE, text));
        };
        match performative {
            Performative::End(end) => self.on_end(session, end.error),
            // After our end everything but the peer's end is thrown away (specification 2.5.5).
            _ if ending => {}
            Performative::Attach(attach) => self.on_attach(session, attach),
            Performative::Flow(flow) => self.on_flow(session, &flow),
            Performative::Transfer(transfer) => self.on_transfer(session, transfer),
            Performative::Disposition(disposition) => self.on_disposition(session, disposition),
            Performative::Detach(detach) => self.on_detach(session, detach),
            Performative::Open(_) | Performative::Begin(_) | Performative::Close(_) => {}
        }
    }

    fn on_close(&mut self, error: Option<Error>) {
        if self.phase == Phase::CloseSent {
            return self.finish(Closed::ByUs);
        }
        self.emit_close(None);
        self.finish(Closed::ByPeer(error));
    }
}
