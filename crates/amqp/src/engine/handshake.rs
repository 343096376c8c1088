//! Protocol headers, SASL and open.

use std::time::Duration;

use bytes::Bytes;

use super::connection::{Connection, Phase, Side};
use super::event::{Closed, Event};
use crate::frame;
use crate::performative::{Error, Open, Performative, SaslCode, SaslFrame, condition};

impl Connection {
    /// Answers [`Event::SaslInit`].
    pub fn sasl_outcome(&mut self, code: SaslCode, now: Duration) {
        if self.phase != Phase::SaslDecision {
            return;
        }
        frame::encode_sasl(
            &mut self.output,
            &SaslFrame::Outcome {
                code,
                additional_data: None,
            },
        );
        match code {
            SaslCode::Ok => self.set_phase(Phase::Header { sasl_done: true }, now),
            _ => self.finish(Closed::SaslRefused(code)),
        }
    }

    /// Reads the peer's protocol header; false when it is not there yet.
    pub(super) fn step_header(&mut self, sasl_done: bool, now: Duration) -> bool {
        let Some(header) = self.input.first_chunk::<8>().copied() else {
            return false;
        };
        let _ = self.input.split_to(header.len());
        let expected = match (&self.side, sasl_done) {
            (Side::Client(Some(_)), false) => frame::SASL_HEADER,
            (Side::Server(mechanisms), false)
                if !mechanisms.is_empty() && header == frame::SASL_HEADER =>
            {
                frame::SASL_HEADER
            }
            _ => frame::AMQP_HEADER,
        };
        if header != expected {
            if let Side::Server(_) = self.side {
                self.output.extend_from_slice(&expected);
            }
            self.finish(Closed::WrongProtocol(header));
            return true;
        }
        self.answer_header(expected, now);
        true
    }

    fn answer_header(&mut self, header: [u8; 8], now: Duration) {
        let sasl = header == frame::SASL_HEADER;
        let phase = match &self.side {
            Side::Client(_) if sasl => Phase::SaslMechanisms,
            Side::Client(_) => Phase::Opening,
            Side::Server(mechanisms) => {
                self.output.extend_from_slice(&header);
                if sasl {
                    frame::encode_sasl(
                        &mut self.output,
                        &SaslFrame::Mechanisms(mechanisms.clone()),
                    );
                    Phase::SaslInit
                } else {
                    Phase::Opening
                }
            }
        };
        self.set_phase(phase, now);
    }

    pub(super) fn on_sasl(&mut self, body: Bytes, now: Duration) {
        let frame = match frame::decode_sasl(body) {
            Ok(frame) => frame,
            Err(error) => {
                return self.violate(Error::new(condition::DECODE_ERROR, error.to_string()));
            }
        };
        match (self.phase, frame) {
            (Phase::SaslMechanisms, SaslFrame::Mechanisms(offered)) => {
                self.choose_mechanism(offered, now)
            }
            (
                Phase::SaslInit,
                SaslFrame::Init {
                    mechanism,
                    initial_response,
                    ..
                },
            ) => {
                let offered = matches!(&self.side, Side::Server(mechanisms) if mechanisms.contains(&mechanism));
                self.set_phase(Phase::SaslDecision, now);
                if offered {
                    self.events.push_back(Event::SaslInit {
                        mechanism,
                        initial_response,
                    });
                } else {
                    self.sasl_outcome(SaslCode::Auth, now);
                }
            }
            (
                Phase::SaslOutcome,
                SaslFrame::Outcome {
                    code: SaslCode::Ok, ..
                },
            ) => {
                self.write_header_and_open();
                self.set_phase(Phase::Header { sasl_done: true }, now);
            }
            (Phase::SaslOutcome, SaslFrame::Outcome { code, .. }) => {
                self.finish(Closed::SaslRefused(code))
            }
            (Phase::SaslOutcome, SaslFrame::Challenge(_)) => {
                self.finish(Closed::SaslRefused(SaslCode::SysPerm))
            }
            _ => self.violate(Error::new(
                condition::ILLEGAL_STATE,
                "SASL frame out of turn",
            )),
        }
    }

    fn choose_mechanism(&mut self, offered: Vec<crate::value::Symbol>, now: Duration) {
        let Side::Client(Some(sasl)) = &self.side else {
            return;
        };
        if !offered.contains(&sasl.mechanism) {
            return self.finish(Closed::NoSaslMechanism(offered));
        }
        let init = SaslFrame::Init {
            mechanism: sasl.mechanism.clone(),
            initial_response: sasl.initial_response.clone(),
            hostname: self.config.hostname.clone(),
        };
        frame::encode_sasl(&mut self.output, &init);
        self.set_phase(Phase::SaslOutcome, now);
    }

    pub(super) fn on_open(&mut self, open: Box<Open>, now: Duration) {
        if self.phase != Phase::Opening {
            return self.violate(Error::new(condition::ILLEGAL_STATE, "open came twice"));
        }
        if let Side::Server(_) = self.side {
            self.emit_open();
        }
        self.opened_by_peer(&open);
        self.set_phase(Phase::Open, now);
        self.events.push_back(Event::Opened(open));
    }

    pub(super) fn write_header_and_open(&mut self) {
        self.output.extend_from_slice(&frame::AMQP_HEADER);
        self.emit_open();
    }

    pub(super) fn emit_open(&mut self) {
        let open = Open {
            container_id: self.config.container_id.clone(),
            hostname: self.config.hostname.clone(),
            max_frame_size: self.config.max_frame_bytes,
            channel_max: self.config.channel_max,
            idle_time_out_ms: self.config.idle_time_out_ms,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: self.config.properties.clone(),
        };
        self.emit(0, &Performative::Open(Box::new(open)));
    }
}
