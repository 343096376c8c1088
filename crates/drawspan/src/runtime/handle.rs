//! What the HTTP side holds: sends on a device's connection, and waits and resends within the request's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use drawspan_client::{Send, SendFailure, message};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, FailureKind, Telemetry,
};
use drawspan_net::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::RESEND_PAUSE;
use super::directory::{Directory, Route};
use super::entry::Waiter;
use super::shard::Connect;
use crate::devices::{DeviceError, Devices, Diagnostics, Readiness};
use crate::limits::RETRY_AFTER_S;

/// The devices' side. Cheap to clone; the last one gone ends it.
#[derive(Debug, Clone)]
pub struct Bridge {
    shard: mpsc::Sender<Connect>,
    directory: Arc<Directory>,
    hub_down: Arc<AtomicBool>,
    clock: Clock,
}

impl Bridge {
    pub(super) fn new(
        shard: mpsc::Sender<Connect>,
        directory: Arc<Directory>,
        hub_down: Arc<AtomicBool>,
        clock: Clock,
    ) -> Self {
        Self {
            shard,
            directory,
            hub_down,
            clock,
        }
    }

    /// A route other than `not`, connecting the device if need be.
    async fn connect(
        &self,
        device: &DeviceId,
        not: Option<u32>,
        deadline: Instant,
    ) -> Result<Arc<Route>, NoRoute> {
        let (reply, answer) = oneshot::channel();
        let request = Connect {
            device: device.clone(),
            waiter: Waiter { not, reply },
        };
        self.shard.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoRoute::Full,
            mpsc::error::TrySendError::Closed(_) => NoRoute::Stopped,
        })?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(route))) => Ok(route),
            Ok(Ok(Err(failure))) => Err(NoRoute::Refused(failure)),
            Ok(Err(_)) => Err(NoRoute::Stopped),
            Err(_) => Err(NoRoute::TimedOut),
        }
    }

    async fn send_until(
        &self,
        device: &DeviceId,
        encoded: bytes::Bytes,
        deadline: Instant,
        fate: &mut Fate,
    ) -> Result<(), DeviceError> {
        let mut route = self.directory.get(device);
        let mut not = None;
        loop {
            let found = match route.take() {
                Some(route) => route,
                None => self
                    .connect(device, not, deadline)
                    .await
                    .map_err(|error| self.no_route(error))?,
            };
            let now = self.clock.now();
            found.used(now);
            let left = deadline.saturating_duration_since(Instant::now());
            let send = Send {
                session: found.session,
                message: encoded.clone(),
                deadline: now + left,
            };
            match found.connection.send(send).await {
                Ok(()) => return Ok(()),
                Err(SendFailure::Full) => {
                    return Err(DeviceError::QueueFull {
                        retry_after_s: RETRY_AFTER_S,
                    });
                }
                Err(SendFailure::NotSent) => return Err(self.too_late()),
                Err(SendFailure::Stale) => not = Some(found.serial),
                Err(SendFailure::Unsettled) => {
                    fate.unknown = true;
                    not = Some(found.serial);
                }
                Err(SendFailure::Refused(failure)) => {
                    let Some(pause) = pause_before_resend(&failure) else {
                        return Err(refused(failure));
                    };
                    if Instant::now() + pause >= deadline {
                        return Err(refused(failure));
                    }
                    sleep(pause).await;
                    route = Some(found);
                    continue;
                }
            }
            if Instant::now() >= deadline {
                return Err(self.too_late());
            }
        }
    }

    fn no_route(&self, error: NoRoute) -> DeviceError {
        match error {
            NoRoute::Refused(failure) => refused(failure),
            NoRoute::Full => DeviceError::QueueFull {
                retry_after_s: RETRY_AFTER_S,
            },
            NoRoute::Stopped => DeviceError::NotReady,
            NoRoute::TimedOut => self.too_late(),
        }
    }

    fn too_late(&self) -> DeviceError {
        if self.hub_down.load(Ordering::Relaxed) {
            DeviceError::HubUnreachable {
                retry_after_s: RETRY_AFTER_S,
            }
        } else {
            DeviceError::NotWritten
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

enum NoRoute {
    Refused(Failure),
    Full,
    Stopped,
    TimedOut,
}

impl Devices for Bridge {
    async fn send(
        &self,
        device: DeviceId,
        message: Telemetry,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        message.check_size().map_err(|_| DeviceError::TooLarge)?;
        let encoded = message::encode(&message);
        let mut fate = Fate::default();
        let sent = self.send_until(&device, encoded, deadline, &mut fate).await;
        sent.map_err(|error| fate.tell(error))
    }

    async fn twin(&self, _: DeviceId, _: Instant) -> Result<Bytes, DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn report(&self, _: DeviceId, _: Bytes, _: Instant) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn register(
        &self,
        _: DeviceId,
        _: Option<String>,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn connection_status(
        &self,
        _: DeviceId,
    ) -> Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError> {
        Err(DeviceError::NotReady)
    }

    fn resync(&self, _: DeviceId) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn diagnostics(&self, _: DeviceId) -> Result<Option<Diagnostics>, DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn forget(&self, _: DeviceId, _: Instant) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }

    fn readiness(&self) -> Readiness {
        Readiness::READY
    }
}

/// How long to wait before the same message is worth another try; none when the hub will not take it.
fn pause_before_resend(failure: &Failure) -> Option<Duration> {
    match failure.kind {
        FailureKind::Throttled => Some(Duration::from_secs(
            failure.retry_after_s.map_or(1, u64::from),
        )),
        FailureKind::ServerError | FailureKind::Timeout => Some(RESEND_PAUSE),
        _ => None,
    }
}

fn refused(failure: Failure) -> DeviceError {
    match failure.kind {
        FailureKind::MessageTooLarge => DeviceError::TooLarge,
        FailureKind::QueueFull if failure.code.is_none() => DeviceError::QueueFull {
            retry_after_s: RETRY_AFTER_S,
        },
        _ => DeviceError::Refused(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sent_is_never_said_after_something_was() {
        let errors = [
            DeviceError::QueueFull { retry_after_s: 5 },
            DeviceError::HubUnreachable { retry_after_s: 5 },
            DeviceError::NotWritten,
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
