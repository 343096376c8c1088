//! The gateway: requests for one device, within the request's time.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::controller::{Request as Ask, Waiter};
use drawspan_client::{Credentials, TwinOperation, message};
use drawspan_fleet::CallerId;
use drawspan_fleet::usage::blocks_of;
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::log_limit::{Leave, STORE_FAILURES};
use drawspan_gateway::{
    ConnectionFeed, DeviceError, DeviceGateway, Diagnostics, Effect, Prefix, Readiness, Standing,
    Unready,
};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, FailureKind, RegistrationId,
    Telemetry,
};
use drawspan_metrics::Page;
use drawspan_net::Clock;
use drawspan_store::{Health as StoreLevel, StoreError, StoreHealth};
use drawspan_webhooks::{Guard, Secrets};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::errors::{QUEUE_FULL, not_connected};
use super::health::Health;
use super::metrics::Counters;
use super::operation::Operation;
use super::platform::{Caller, Profile};
use super::request::{Look, Relisted, Request};
use super::routes::{Route, RouteTable};
use super::throttle::Turns;
use super::usage::UsageCounts;
use crate::limits::DELAY_TIMEOUT_MS;

/// The devices' side. Cheap to clone; the last one gone ends it.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) routes: Arc<RouteTable>,
    pub(super) feed: Arc<ConnectionFeed>,
    pub(super) health: Arc<Health>,
    pub(super) clock: Clock,
    pub(super) profile: Profile,
    pub(super) credentials: Arc<Credentials>,
    pub(super) store: Option<drawspan_store::HubCache>,
    pub(super) letters: Option<drawspan_store::DeadLetters>,
    pub(super) store_health: Option<StoreHealth>,
    /// Requests that wait for messages.
    pub(super) pulls: Arc<AtomicUsize>,
    /// The guard of callback addresses.
    pub(super) guard: Arc<Guard>,
    pub(super) webhook_secrets: Arc<Secrets>,
    /// Requests that wait for their turn at a hub whose rate binds.
    pub(super) turns: Turns,
    /// What devices used today, and their limits.
    pub(super) usage: Arc<UsageCounts>,
    /// Counters outside the controller.
    pub(super) counters: Arc<Counters>,
}

impl Gateway {
    /// The keys that sign events, to be exchanged under way.
    #[must_use]
    pub fn webhook_secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.webhook_secrets)
    }

    /// The credentials are those of another list: devices move to the hubs that it names, and those that are no longer listed are
    /// disconnected. `None` if the controller's task has ended.
    pub async fn relist(&self) -> Option<Relisted> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Relist(Caller::Relisted(reply));
        self.requests.send(ask.into()).await.ok()?;
        answer.await.ok()
    }

    /// A route other than `not`, connecting the device if need be.
    pub(super) async fn connect(
        &self,
        device: &DeviceId,
        not: Option<u32>,
        deadline: Instant,
    ) -> Result<Arc<Route>, DeviceError> {
        self.check_id(device)?;
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Connect {
            device: device.clone(),
            waiter: Waiter {
                not,
                who: CallerId(Effect::caller()),
                deadline: self.clock.at(deadline),
                caller: Caller::Route(reply, Effect::presence()),
            },
        })?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(route))) => Ok(route),
            Ok(Ok(Err(refusal))) => Err(not_connected(refusal)),
            Ok(Err(_)) => Err(DeviceError::NotReady),
            Err(_) => Err(self.delay_of(device).await),
        }
    }

    fn ask(&self, request: impl Into<Request>) -> Result<(), DeviceError> {
        let request = request.into();
        if request.changes_something() {
            Effect::begins();
        }
        self.requests
            .try_send(request)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => QUEUE_FULL,
                mpsc::error::TrySendError::Closed(_) => DeviceError::NotReady,
            })
    }

    /// The reason of a device's wait, now that its caller's time has ended.
    pub(super) async fn delay_of(&self, device: &DeviceId) -> DeviceError {
        let device = device.clone();
        let delay = self.answer(|reply| Look::Delay { device, reply });
        let patience = Duration::from_millis(DELAY_TIMEOUT_MS);
        match timeout(patience, delay).await {
            Ok(Ok(delay)) => delay,
            Ok(Err(_)) | Err(_) => DeviceError::NotSent,
        }
    }

    /// Converts the hub's answer to a request of a connected device, or DPS's answer to a registration.
    pub(super) fn refused(&self, failure: Failure) -> DeviceError {
        match failure.kind {
            FailureKind::MessageTooLarge => DeviceError::TooLarge,
            FailureKind::QueueFull if failure.code.is_none() => QUEUE_FULL,
            FailureKind::HubUnreachable => DeviceError::HubUnreachable {
                retry_after_s: RETRY_AFTER_S,
                why: Some(failure.message),
            },
            _ => DeviceError::Refused(failure),
        }
    }

    /// A device that was listed may still be connected, and is not for callers any more.
    pub(super) fn check_listed(&self, device: &DeviceId) -> Result<(), DeviceError> {
        match &self.profile {
            Profile::Listed(_) => self.check_id(device),
            Profile::Dps | Profile::Hub(_) => Ok(()),
        }
    }

    pub(super) fn check_id(&self, device: &DeviceId) -> Result<(), DeviceError> {
        match &self.profile {
            Profile::Dps => RegistrationId::parse(device.as_str())
                .map(|_| ())
                .map_err(DeviceError::IdNotForDps),
            Profile::Listed(_) => match self.credentials.listed_hub(device) {
                Some(_) => Ok(()),
                None => Err(DeviceError::NotListed),
            },
            Profile::Hub(_) => Ok(()),
        }
    }

    pub(super) async fn answer<T, R: Into<Request>>(
        &self,
        make: impl FnOnce(oneshot::Sender<T>) -> R,
    ) -> Result<T, DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.ask(make(reply))?;
        answer.await.map_err(|_| DeviceError::NotReady)
    }
}

impl DeviceGateway for Gateway {
    async fn send(
        &self,
        device: DeviceId,
        message: Telemetry,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        self.check_listed(&device)?;
        message.check_size().map_err(|_| DeviceError::TooLarge)?;
        let encoded = message::encode(&message);
        let operation = Operation::Send(encoded, blocks_of(message.size_bytes()));
        self.send_with_retry(&device, &operation, deadline)
            .await
            .map(|_| ())
    }

    async fn twin(&self, device: DeviceId, deadline: Instant) -> Result<Bytes, DeviceError> {
        self.check_listed(&device)?;
        let operation = Operation::Twin(TwinOperation::Get);
        self.send_with_retry(&device, &operation, deadline).await
    }

    async fn report(
        &self,
        device: DeviceId,
        patch: Bytes,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        self.check_listed(&device)?;
        let operation = Operation::Twin(TwinOperation::Report(patch));
        self.send_with_retry(&device, &operation, deadline)
            .await
            .map(|_| ())
    }

    async fn register(
        &self,
        device: DeviceId,
        model_id: Option<String>,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        self.check_id(&device)?;
        if !matches!(self.profile, Profile::Dps) {
            return Ok(());
        }
        let payload = model_id.map(|id| serde_json::json!({ "modelId": id }).to_string());
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Register {
            device: device.clone(),
            who: CallerId(Effect::caller()),
            payload,
            deadline: self.clock.at(deadline),
            caller: Caller::Registration(reply, Effect::presence()),
        })?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(failure))) if failure.kind == FailureKind::Timeout => {
                Err(DeviceError::FateUnknown)
            }
            Ok(Ok(Err(failure))) => Err(self.refused(failure)),
            Ok(Err(_)) if Instant::now() < deadline => Err(DeviceError::NotReady),
            // Its time was over before its turn.
            Ok(Err(_)) | Err(_) => Err(self.delay_of(&device).await),
        }
    }

    async fn connection_status(
        &self,
        device: DeviceId,
    ) -> Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError> {
        self.answer(|reply| Look::Status { device, reply }).await
    }

    fn resync(&self, device: DeviceId) -> Result<(), DeviceError> {
        self.check_listed(&device)?;
        self.ask(Ask::Resync(device))
    }

    async fn diagnostics(&self, device: DeviceId) -> Result<Option<Diagnostics>, DeviceError> {
        self.answer(|reply| Look::Diagnose { device, reply }).await
    }

    async fn forget(&self, device: DeviceId, deadline: Instant) -> Result<(), DeviceError> {
        let device = self.called(device).await?;
        let of = device.clone();
        let asked = self.answer(|reply| Ask::Forget {
            device: of,
            caller: Caller::Done(reply),
        });
        let forgotten = timeout_at(deadline, asked).await;
        forgotten.unwrap_or(Err(DeviceError::FateUnknown))??;
        let Some(store) = &self.store else {
            return Ok(());
        };
        match timeout_at(deadline, store.forget(device)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(not_stored(&error)),
            Err(_) => Err(DeviceError::FateUnknown),
        }
    }

    async fn standing(
        &self,
        device: DeviceId,
        within: Prefix,
        ask: bool,
        deadline: Instant,
    ) -> Result<Standing, DeviceError> {
        self.stand(device, within, ask, deadline).await
    }

    fn identity(&self, device: &DeviceId) -> DeviceId {
        match self.profile {
            Profile::Dps => device.to_lower_case(),
            Profile::Hub(_) | Profile::Listed(_) => device.clone(),
        }
    }

    fn connection_feed(&self) -> Arc<ConnectionFeed> {
        Arc::clone(&self.feed)
    }

    fn readiness(&self) -> Readiness {
        let mut problems = self.health.problems();
        problems.extend(self.counters.in_vain.problem());
        let store = self.store_health.as_ref().map(StoreHealth::now);
        problems.extend(
            store
                .filter(|now| *now != StoreLevel::Ok)
                .map(Unready::Store),
        );
        Readiness::of(problems)
    }

    async fn measure(&self, page: &mut Page) {
        self.counters.tell(page);
        self.usage.tell(page);
        self.health.tell(page);
        if let Some(snapshot) = self.counters.snapshot(&self.requests).await {
            snapshot.tell(page);
        }
    }
}

/// The device is gone from memory, and may come back with the next start.
fn not_stored(error: &StoreError) -> DeviceError {
    if let Some(Leave { left_out }) = STORE_FAILURES.pass("hub cache") {
        tracing::error!(%error, left_out, "a device could not be removed from the hub cache");
    }
    match error {
        StoreError::Closed => DeviceError::NotReady,
        _ => DeviceError::NotStored(error.fault()),
    }
}
