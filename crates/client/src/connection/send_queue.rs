//! Messages of devices: in flight, waiting for credit, overdue.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_amqp::engine::{CommandError, Connection, LinkId, Outgoing, SessionId};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag};
use drawspan_hub::{Failure, FailureKind};

use super::device::{Device, Phase};
use super::handler::{DeviceHandler, failure_of};
use super::reply::Reply;
use super::token_renewal::millis;
use super::{Send, SendFailure};
use crate::limits;

impl DeviceHandler {
    pub(super) fn send(
        &mut self,
        connection: &mut Connection,
        send: Send,
        reply: Reply,
        now: Duration,
    ) {
        let Some((device, telemetry)) = self.open_on(send.session.0) else {
            reply.send(Err(SendFailure::Stale));
            return;
        };
        let goes = connection.credit(telemetry) > 0 && connection.has_room(telemetry);
        match &mut device.waiting {
            None if goes => self.transfer(connection, &send, reply, now),
            waiting => {
                // Bounded by the device's places.
                waiting.get_or_insert_default().push_back((send, reply));
                self.waiting += 1;
                self.sweep_soon(now);
            }
        }
    }

    pub(super) fn transfer(
        &mut self,
        connection: &mut Connection,
        send: &Send,
        reply: Reply,
        now: Duration,
    ) {
        let Some((device, telemetry)) = self.open_on(send.session.0) else {
            return;
        };
        let tag = DeliveryTag::from_u32(device.next_tag);
        device.next_tag = device.next_tag.wrapping_add(1);
        let context = self
            .sends
            .insert(reply, send.session.0.channel(), send.deadline);
        let message = Outgoing {
            tag,
            message_format: 0,
            settled: false,
            context,
            payload: &send.message,
        };
        if let Err(error) = connection.send(telemetry, &message)
            && let Some(reply) = self.sends.take(context)
        {
            reply.send(Err(failure_to_send(error)));
        }
        self.sweep_soon(now);
    }

    /// Credit or room came for a device's telemetry: what waits goes out.
    pub(super) fn flush_telemetry(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        now: Duration,
    ) {
        while let Some((device, telemetry)) = self.open_on(session)
            && device.waiting.is_some()
            && connection.credit(telemetry) > 0
            && connection.has_room(telemetry)
            && let Some((send, reply)) = device.pop_waiting()
        {
            self.waiting -= 1;
            if !reply.is_closed() {
                self.transfer(connection, &send, reply, now);
            }
        }
    }

    pub(super) fn on_outcome(&mut self, context: u64, state: Option<DeliveryState>) {
        if let Some(reply) = self.sends.take(context) {
            reply.send(outcome(state, Failure::from_outcome));
        }
    }

    pub(super) fn sweep_soon(&mut self, now: Duration) {
        self.sweep_at
            .get_or_insert(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
    }

    /// Answers what is overdue. Runs only while something waits.
    pub(super) fn sweep(&mut self, connection: &mut Connection, now: Duration) {
        let late = self.sends.over(|_, deadline| deadline <= now);
        self.give_up_sends(connection, late, &SendFailure::NotSent);
        self.sends.shrink();
        if self.waiting > 0 {
            self.sweep_waiting(now);
        }
        if self.opening > 0 {
            self.sweep_opening(connection, now);
        }
        self.sweep_detaching(connection, now);
        if self.ending > 0 {
            self.sweep_ending(connection, now);
        }
        let more = !self.sends.is_empty()
            || !self.detaching.is_empty()
            || self.waiting + self.opening + self.ending > 0;
        self.sweep_at = more.then_some(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
    }

    /// These are no longer awaited. Messages that the engine has not begun to write are cancelled, and answered with `unsent`.
    pub(super) fn give_up_sends(
        &mut self,
        connection: &mut Connection,
        sends: Vec<(u64, usize)>,
        unsent: &SendFailure,
    ) {
        for (context, channel) in sends {
            let device = self.devices.get(channel).and_then(Option::as_ref);
            let telemetry = device.and_then(|device| match device.phase {
                Phase::Open { telemetry } => Some(telemetry),
                Phase::Opening { .. } | Phase::Ending { .. } => None,
            });
            let taken_back = telemetry.is_some_and(|link| connection.withdraw(link, context));
            if let Some(reply) = self.sends.take(context) {
                let failure = match taken_back {
                    true => unsent.clone(),
                    false => SendFailure::FateUnknown,
                };
                reply.send(Err(failure));
            }
        }
    }

    fn sweep_waiting(&mut self, now: Duration) {
        for device in self.devices.iter_mut().flatten() {
            let Some(waiting) = device.waiting.take() else {
                continue;
            };
            let before = waiting.len();
            let mut kept = VecDeque::new();
            for (send, reply) in *waiting {
                if send.deadline <= now {
                    reply.send(Err(SendFailure::NotSent));
                } else if !reply.is_closed() {
                    kept.push_back((send, reply));
                }
            }
            self.waiting -= before - kept.len();
            device.waiting = (!kept.is_empty()).then(|| Box::new(kept));
        }
    }

    fn sweep_opening(&mut self, connection: &mut Connection, now: Duration) {
        let now_ms = millis(now);
        let late = |device: &Device| match device.phase {
            Phase::Opening {
                until_ms, granted, ..
            } if until_ms <= now_ms => Some((device.session, granted)),
            _ => None,
        };
        let late: Vec<_> = self.devices.iter().flatten().filter_map(late).collect();
        for (session, granted) in late {
            let text = if granted {
                "the hub did not take the device's link in time"
            } else {
                "the hub did not answer the device's put-token in time"
            };
            let failure = Failure::local(FailureKind::Timeout, text);
            self.fail(connection, session, failure, now);
        }
    }

    /// An open device and its telemetry link.
    fn open_on(&mut self, session: SessionId) -> Option<(&mut Device, LinkId)> {
        let device = self.device_on(session)?;
        match device.phase {
            Phase::Open { telemetry } => Some((device, telemetry)),
            _ => None,
        }
    }
}

impl Device {
    /// The message that has waited longest. The queue goes with its last one.
    fn pop_waiting(&mut self) -> Option<(Send, Reply)> {
        let waiting = self.waiting.as_mut()?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting = None;
        }
        first
    }
}

/// `refused` says what a condition and its description mean.
pub(crate) fn outcome(
    state: Option<DeliveryState>,
    refused: fn(&str, Option<&str>) -> Failure,
) -> Result<(), SendFailure> {
    let lost = |text: &str| {
        Err(SendFailure::Refused(Failure::local(
            FailureKind::ServerError,
            text,
        )))
    };
    match state {
        Some(DeliveryState::Accepted) => Ok(()),
        Some(DeliveryState::Rejected(Some(error))) => Err(SendFailure::Refused(refused(
            error.condition.as_str(),
            error.description.as_deref(),
        ))),
        Some(DeliveryState::Rejected(None)) => Err(SendFailure::Refused(failure_of(None))),
        Some(DeliveryState::Released | DeliveryState::Modified { .. }) => {
            lost("the hub gave the message back")
        }
        _ => Err(SendFailure::FateUnknown),
    }
}

pub(crate) fn failure_to_send(error: CommandError) -> SendFailure {
    match error {
        CommandError::QueueFull => SendFailure::Full,
        CommandError::MessageTooLarge => {
            let text = "the message is larger than the hub's link allows";
            SendFailure::Refused(Failure::local(FailureKind::MessageTooLarge, text))
        }
        _ => SendFailure::Stale,
    }
}
