//! Retries of one request within its time: on another connection if one breaks, later if the hub asks for that.

use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::controller::Refusal;
use drawspan_client::{Send, SendFailure, TwinRequest};
use drawspan_fleet::resend::{Next, Resend};
use drawspan_fleet::send_quota::{OverQuota, Turn};
use drawspan_fleet::{Jitter, Now, ServiceId};
use drawspan_gateway::{Delay, DeviceError, Effect};
use drawspan_hub::{DeviceId, Failure, FailureKind};
use tokio::time::{Instant, sleep};

use super::errors::{QUEUE_FULL, not_connected};
use super::gateway::Gateway;
use super::operation::Operation;
use super::request::Request;
use super::routes::Route;
use super::usage::Charge;
use super::{seed, unix};

impl Gateway {
    /// Tries until it is done, the hub says no, or `deadline` comes. Returns what the hub sent back.
    pub(super) async fn send_with_retry(
        &self,
        device: &DeviceId,
        operation: &Operation,
        deadline: Instant,
    ) -> Result<Bytes, DeviceError> {
        let mut certainty = DeliveryCertainty::default();
        let done = self
            .attempts(device, operation, deadline, &mut certainty)
            .await;
        let done = done.map_err(|error| certainty.tell(error));
        self.counters.in_vain.ended(done.as_ref().err());
        done
    }

    async fn attempts(
        &self,
        device: &DeviceId,
        operation: &Operation,
        deadline: Instant,
        certainty: &mut DeliveryCertainty,
    ) -> Result<Bytes, DeviceError> {
        let mut route = self.routes.get(device);
        let mut not = None;
        let mut resend = Resend::new(self.clock.at(deadline));
        let mut probe = None;
        let mut charge = None;
        if route.is_none() {
            self.check_limits(device, operation, self.clock.now())?;
        }
        loop {
            let found = match route.take() {
                Some(route) => route,
                None => self.connect(device, not, deadline).await?,
            };
            let now = self.clock.now();
            if charge.is_none() {
                charge = self.charge(device, &found, operation, now)?;
            }
            found.used(now);
            let turn = send_turn(&found, operation, now, &mut probe).map_err(|over| {
                self.tell_refused(device, &found, &over.failure);
                over_quota(over)
            })?;
            self.turns
                .wait(&found, operation, self.clock, deadline)
                .await?;
            // Should the caller hang up while it is under way.
            note_may_be_there(&mut charge, true);
            let ended = attempt(&found, operation, self.clock.at(deadline)).await;
            let accepted = ended.is_ok() || ended == Err(SendFailure::FateUnknown);
            note_may_be_there(&mut charge, accepted || certainty.unknown);
            self.note_silence(&found, &ended, deadline);
            match ended {
                Ok(done) => {
                    self.note_accepted(device, &found, turn);
                    return Ok(done);
                }
                Err(SendFailure::Full) => return Err(QUEUE_FULL),
                Err(SendFailure::NotSent) => return Err(DeviceError::Delayed(Delay::Credit)),
                Err(ended @ (SendFailure::Stale | SendFailure::FateUnknown)) => {
                    certainty.unknown |= ended == SendFailure::FateUnknown;
                    if Instant::now() >= deadline {
                        return Err(self.delay_of(device).await);
                    }
                    not = Some(found.serial);
                    self.counters.resends.connection_lost();
                }
                Err(SendFailure::Refused(failure)) => {
                    self.tell_refused(device, &found, &failure);
                    if is_over_quota(operation, &failure) {
                        return Err(self.note_over_quota(&found, turn, failure));
                    }
                    match resend.refused(&failure, self.clock.now(), Jitter(seed())) {
                        Next::After(wait) => sleep(wait).await,
                        Next::OutOfTime => {
                            self.counters.resends.out_of_time(&failure);
                            return Err(self.refused(failure));
                        }
                        Next::Never => return Err(self.refused(failure)),
                    }
                    route = Some(found);
                    self.counters.resends.refused(&failure);
                }
            }
        }
    }
}

impl Gateway {
    /// Reports to the controller when a hub does not answer requests of connected devices, and when it answers again.
    fn note_silence(&self, route: &Route, ended: &Result<Bytes, SendFailure>, deadline: Instant) {
        let (is_news, failure) = match ended {
            Ok(_) | Err(SendFailure::Refused(_)) => (route.paces.answered(), None),
            Err(SendFailure::FateUnknown) if Instant::now() >= deadline => {
                let text = "a connected device's request was not answered in its time";
                let failure = Failure::local(FailureKind::Timeout, text);
                (route.paces.unanswered(), Some(failure))
            }
            Err(_) => return,
        };
        if is_news {
            // If the queue is full, the next report follows.
            let _ = self
                .requests
                .try_send(Request::Unanswered(route.hub, failure));
        }
    }
}

impl Gateway {
    /// Reports to the controller that a hub refuses a connected device's messages, for the history of its connection.
    fn tell_refused(&self, device: &DeviceId, route: &Route, failure: &Failure) {
        let for_quota = match failure.kind {
            FailureKind::QuotaExceeded => true,
            FailureKind::Throttled => false,
            _ => return,
        };
        if route.tells_refusal(for_quota, self.clock.now()) {
            let told = Request::MessagesRefused(device.clone(), route.serial, failure.clone());
            // If the queue is full, a later refusal is reported.
            let _ = self.requests.try_send(told);
        }
    }

    /// A request was accepted.
    fn note_accepted(&self, device: &DeviceId, route: &Route, turn: Turn) {
        if route.tells_taken(self.clock.now()) {
            // If the queue is full, the history shows the throttle until the connection changes.
            let _ = self
                .requests
                .try_send(Request::MessagesTaken(device.clone(), route.serial));
        }
        if route.paces.send_quota.accepted(turn, self.clock.now()) {
            // If the queue is full, the end of the day resets it.
            let _ = self
                .requests
                .try_send(Request::MessageQuota(route.hub, None));
        }
    }

    /// A message was refused because the hub's daily quota is used up: no other is sent until the next probe.
    fn note_over_quota(&self, route: &Route, turn: Turn, failure: Failure) -> DeviceError {
        let now = Now {
            monotonic: self.clock.now(),
            unix_s: unix().as_secs(),
        };
        let (over, is_news) = route.paces.send_quota.refused(turn, &failure, now);
        if is_news {
            // If the queue is full, the next probe reports it.
            let _ = self
                .requests
                .try_send(Request::MessageQuota(route.hub, Some(failure)));
        }
        over_quota(over)
    }
}

/// Whether a message may go although the hub's quota may be used up. A probe stays one while it is tried again at its hub.
fn send_turn(
    route: &Route,
    operation: &Operation,
    now: Duration,
    probe: &mut Option<ServiceId>,
) -> Result<Turn, OverQuota> {
    if !matches!(operation, Operation::Send(..)) {
        return Ok(Turn::Free);
    }
    if *probe == Some(route.hub) {
        return Ok(Turn::Probe);
    }
    let turn = route.paces.send_quota.admit(now)?;
    *probe = (turn == Turn::Probe).then_some(route.hub);
    Ok(turn)
}

fn is_over_quota(operation: &Operation, failure: &Failure) -> bool {
    failure.kind == FailureKind::QuotaExceeded && matches!(operation, Operation::Send(..))
}

fn over_quota(over: OverQuota) -> DeviceError {
    not_connected(Refusal {
        failure: over.failure,
        retry_in: Some(over.retry_in),
    })
}

fn note_may_be_there(charge: &mut Option<Charge>, may_be_there: bool) {
    if let Some(charge) = charge {
        charge.may_be_there(may_be_there);
    }
}

/// Once. `until` is a time of the connection's clock.
async fn attempt(
    route: &Route,
    operation: &Operation,
    until: Duration,
) -> Result<Bytes, SendFailure> {
    if !operation.only_reads() {
        Effect::begins();
    }
    match operation {
        Operation::Send(message, _) => {
            let send = Send {
                session: route.session,
                message: message.clone(),
                deadline: until,
            };
            route.connection.send(send).await.map(|()| Bytes::new())
        }
        Operation::Twin(operation) => {
            let request = TwinRequest {
                session: route.session,
                operation: operation.clone(),
                deadline: until,
            };
            route.connection.twin(request).await.map(|twin| twin.body)
        }
    }
}

/// Whether the hub may have the message although it was not confirmed.
#[derive(Debug, Default)]
struct DeliveryCertainty {
    unknown: bool,
}

impl DeliveryCertainty {
    /// The result if the last attempt failed: an earlier one may have arrived, whatever followed it.
    fn tell(&self, error: DeviceError) -> DeviceError {
        if self.unknown {
            DeviceError::FateUnknown
        } else {
            error
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sent_is_never_said_after_something_was() {
        let errors = [
            QUEUE_FULL,
            DeviceError::HubUnreachable {
                retry_after_s: 5,
                why: None,
            },
            DeviceError::NotSent,
            DeviceError::Delayed(Delay::Credit),
            DeviceError::NotReady,
            DeviceError::Refused(Failure::local(
                FailureKind::DeviceNotFound,
                "gone meanwhile",
            )),
        ];
        for error in errors {
            let never = DeliveryCertainty { unknown: false };
            let perhaps = DeliveryCertainty { unknown: true };
            assert_eq!(never.tell(error.clone()), error);
            assert_eq!(perhaps.tell(error), DeviceError::FateUnknown);
        }
    }
}
