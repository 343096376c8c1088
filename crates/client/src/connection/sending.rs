//! The devices' messages: on their way, waiting for credit, overdue.

use std::time::Duration;

use drawspan_amqp::engine::{CommandError, Connection, LinkId, Outgoing};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Error};
use drawspan_amqp::value::Symbol;
use drawspan_hub::{Failure, FailureKind};

use super::device::Phase;
use super::handler::{DeviceHandler, failure_of};
use super::sends::Reply;
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
        let Some(device) = self
            .device_on(send.session.0)
            .filter(|device| device.phase == Phase::Open)
        else {
            let _ = reply.send(Err(SendFailure::Stale));
            return;
        };
        if device.waiting.is_empty() && connection.credit(device.telemetry) > 0 {
            self.transfer(connection, &send, reply, now);
        } else if device.waiting.len() < limits::SENDS_PER_DEVICE {
            device.waiting.push_back((send, reply));
            self.waiting += 1;
            self.sweep_soon(now);
        } else {
            let _ = reply.send(Err(SendFailure::Full));
        }
    }

    pub(super) fn transfer(
        &mut self,
        connection: &mut Connection,
        send: &Send,
        reply: Reply,
        now: Duration,
    ) {
        let Some(device) = self.device_on(send.session.0) else {
            return;
        };
        let tag = DeliveryTag::from_u32(device.next_tag);
        device.next_tag = device.next_tag.wrapping_add(1);
        let telemetry = device.telemetry;
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
            let _ = reply.send(Err(failure_to_send(error)));
        }
        self.sweep_soon(now);
    }

    pub(super) fn on_credit(&mut self, connection: &mut Connection, link: LinkId, now: Duration) {
        let Some(session) = connection.session_of(link) else {
            return;
        };
        while connection.credit(link) > 0 {
            let Some((send, reply)) = self
                .device_on(session)
                .and_then(|device| device.waiting.pop_front())
            else {
                return;
            };
            self.waiting -= 1;
            self.transfer(connection, &send, reply, now);
        }
    }

    pub(super) fn on_outcome(&mut self, context: u64, state: Option<DeliveryState>) {
        let Some(reply) = self.sends.take(context) else {
            return;
        };
        let _ = reply.send(outcome(state));
    }

    pub(super) fn sweep_soon(&mut self, now: Duration) {
        self.sweep_at
            .get_or_insert(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
    }

    /// Answers what is overdue. Runs only while something waits.
    pub(super) fn sweep(&mut self, connection: &mut Connection, now: Duration) {
        self.sends.give_up(|_, deadline| deadline <= now);
        self.sends.shrink();
        if self.waiting > 0 {
            self.sweep_waiting(now);
        }
        if self.attaching > 0 {
            self.sweep_attaching(connection, now);
        }
        let more = !self.sends.is_empty() || self.waiting > 0 || self.attaching > 0;
        self.sweep_at = more.then_some(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
    }

    pub(super) fn sweep_waiting(&mut self, now: Duration) {
        for device in self.devices.iter_mut().flatten() {
            let before = device.waiting.len();
            for (send, reply) in std::mem::take(&mut device.waiting) {
                if send.deadline <= now {
                    let _ = reply.send(Err(SendFailure::NotSent));
                } else {
                    device.waiting.push_back((send, reply));
                }
            }
            self.waiting -= before - device.waiting.len();
        }
    }

    pub(super) fn sweep_attaching(&mut self, connection: &mut Connection, now: Duration) {
        let late: Vec<_> = self
            .devices
            .iter()
            .flatten()
            .filter(|device| matches!(device.phase, Phase::Attaching { until } if until <= now))
            .map(|device| device.session)
            .collect();
        for session in late {
            self.on_device_down(connection, session, Some(&too_late()), false);
        }
    }
}

fn outcome(state: Option<DeliveryState>) -> Result<(), SendFailure> {
    let lost = |text: &str| {
        Err(SendFailure::Refused(Failure::local(
            FailureKind::ServerError,
            text,
        )))
    };
    match state {
        Some(DeliveryState::Accepted) => Ok(()),
        Some(DeliveryState::Rejected(error)) => {
            Err(SendFailure::Refused(failure_of(error.as_ref())))
        }
        Some(DeliveryState::Released | DeliveryState::Modified { .. }) => {
            lost("the hub gave the message back")
        }
        _ => Err(SendFailure::Unsettled),
    }
}

fn failure_to_send(error: CommandError) -> SendFailure {
    match error {
        CommandError::QueueFull => SendFailure::Full,
        CommandError::MessageTooLarge => {
            let text = "the message is larger than the hub's link allows";
            SendFailure::Refused(Failure::local(FailureKind::MessageTooLarge, text))
        }
        _ => SendFailure::Stale,
    }
}

fn too_late() -> Error {
    Error::new(
        Symbol::from_static("com.microsoft:timeout"),
        "the hub did not take the device's link in time",
    )
}
