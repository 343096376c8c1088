//! One request, tried again within its time: on another connection when one breaks, later when the hub asks for that.

use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::Jitter;
use drawspan_bridge::resend::{Next, Resend};
use drawspan_client::{Send, SendFailure, TwinOperation, TwinRequest};
use drawspan_gateway::{Delay, DeviceError, Effect};
use drawspan_hub::{DeviceId, Failure, FailureKind};
use tokio::time::{Instant, sleep};

use super::directory::Route;
use super::handle::{Bridge, QUEUE_FULL};
use super::request::Request;
use super::seed;
use super::throttle::wait_turn;

/// What is asked of a connected device.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// An encoded message to send.
    Send(Bytes),
    /// Something about its twin.
    Twin(TwinOperation),
}

impl Work {
    const fn only_reads(&self) -> bool {
        matches!(self, Self::Twin(TwinOperation::Get))
    }
}

impl Bridge {
    /// Tries until it is done, the hub says no, or `deadline` comes. Returns what the hub sent back.
    pub(super) async fn persist(
        &self,
        device: &DeviceId,
        work: &Work,
        deadline: Instant,
    ) -> Result<Bytes, DeviceError> {
        let mut fate = Fate::default();
        let done = self.attempts(device, work, deadline, &mut fate).await;
        let done = done.map_err(|error| fate.tell(error));
        self.meters.in_vain.ended(done.as_ref().err());
        done
    }

    async fn attempts(
        &self,
        device: &DeviceId,
        work: &Work,
        deadline: Instant,
        fate: &mut Fate,
    ) -> Result<Bytes, DeviceError> {
        let mut route = self.directory.get(device);
        let mut not = None;
        let mut resend = Resend::new(self.clock.at(deadline));
        loop {
            let found = match route.take() {
                Some(route) => route,
                None => self.connect(device, not, deadline).await?,
            };
            let now = self.clock.now();
            found.used(now);
            wait_turn(&found, work, now, deadline).await?;
            let ended = attempt(&found, work, self.clock.at(deadline)).await;
            self.note_silence(&found, &ended, deadline);
            match ended {
                Ok(done) => return Ok(done),
                Err(SendFailure::Full) => return Err(QUEUE_FULL),
                Err(SendFailure::NotSent) => return Err(DeviceError::Delayed(Delay::Credit)),
                Err(ended @ (SendFailure::Stale | SendFailure::FateUnknown)) => {
                    fate.unknown |= ended == SendFailure::FateUnknown;
                    if Instant::now() >= deadline {
                        return Err(self.delay_of(device).await);
                    }
                    not = Some(found.serial);
                    self.meters.resends.connection_lost();
                }
                Err(SendFailure::Refused(failure)) => {
                    match resend.refused(&failure, self.clock.now(), Jitter(seed())) {
                        Next::After(wait) => sleep(wait).await,
                        Next::OutOfTime => {
                            self.meters.resends.out_of_time(&failure);
                            return Err(self.refused(failure));
                        }
                        Next::Never => return Err(self.refused(failure)),
                    }
                    route = Some(found);
                    self.meters.resends.refused(&failure);
                }
            }
        }
    }
}

impl Bridge {
    /// Tells the controller of a hub that leaves requests of connected devices without an answer, and when it answers again.
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
            // Where the queue is full, the next one says it.
            let _ = self.shard.try_send(Request::Unanswered(route.hub, failure));
        }
    }
}

/// Once. `until` is a time of the connection's clock.
async fn attempt(route: &Route, work: &Work, until: Duration) -> Result<Bytes, SendFailure> {
    if !work.only_reads() {
        Effect::begins();
    }
    match work {
        Work::Send(message) => {
            let send = Send {
                session: route.session,
                message: message.clone(),
                deadline: until,
            };
            route.connection.send(send).await.map(|()| Bytes::new())
        }
        Work::Twin(operation) => {
            let request = TwinRequest {
                session: route.session,
                operation: operation.clone(),
                deadline: until,
            };
            route.connection.twin(request).await.map(|twin| twin.body)
        }
    }
}

/// Whether the hub may have the message although nobody said so.
#[derive(Debug, Default)]
struct Fate {
    unknown: bool,
}

impl Fate {
    /// What is told when the last attempt failed: what an earlier one sent may have arrived, whatever came after it.
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
            let never = Fate { unknown: false };
            let perhaps = Fate { unknown: true };
            assert_eq!(never.tell(error.clone()), error);
            assert_eq!(perhaps.tell(error), DeviceError::FateUnknown);
        }
    }
}
