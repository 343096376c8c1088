//! The ceiling of benchmarks: nothing that waits for a device, behind the bridge's HTTP server, can be faster.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_gateway::{
    ConnectionFeed, DeadLetter, DeadLetterQuery, DeadLetters, DeviceError, DeviceGateway,
    Diagnostics, Downlink, Held, ListPage, ListQuery, Listing, Prefix, Readiness, Scope, Standing,
    Subscribe, Subscribed, Subscription, Subscriptions, Usage, UsageQuery, UsageReports,
};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Outcome, SubscriptionType, Telemetry,
};
use drawspan_metrics::Page;
use tokio::time::Instant;

/// Devices that accept everything at once, and of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct AnswerAtOnce;

const EMPTY_TWIN: &[u8] = br#"{"desired":{"$version":1},"reported":{"$version":1}}"#;

impl DeviceGateway for AnswerAtOnce {
    async fn send(&self, _: DeviceId, _: Telemetry, _: Instant) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn twin(&self, _: DeviceId, _: Instant) -> Result<Bytes, DeviceError> {
        Ok(Bytes::from_static(EMPTY_TWIN))
    }

    async fn report(&self, _: DeviceId, _: Bytes, _: Instant) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn register(
        &self,
        _: DeviceId,
        _: Option<String>,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn connection_status(
        &self,
        _: DeviceId,
    ) -> Result<Option<(ConnectionStatus, ConnectionStatusReason)>, DeviceError> {
        Ok(None)
    }

    fn resync(&self, _: DeviceId) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn diagnostics(&self, _: DeviceId) -> Result<Option<Diagnostics>, DeviceError> {
        Ok(None)
    }

    async fn forget(&self, _: DeviceId, _: Instant) -> Result<(), DeviceError> {
        Ok(())
    }

    async fn measure(&self, _: &mut Page) {}

    async fn standing(
        &self,
        _: DeviceId,
        _: Prefix,
        _: bool,
        _: Instant,
    ) -> Result<Standing, DeviceError> {
        Ok(Standing::Within)
    }

    fn identity(&self, device: &DeviceId) -> DeviceId {
        device.clone()
    }

    fn connection_feed(&self) -> Arc<ConnectionFeed> {
        Arc::new(ConnectionFeed::new(0))
    }

    fn readiness(&self) -> Readiness {
        Readiness::READY
    }
}

impl Subscriptions for AnswerAtOnce {
    async fn subscribe(&self, _: Subscribe, _: Instant) -> Result<Subscribed, DeviceError> {
        Err(DeviceError::NotStored(None))
    }

    async fn subscription(
        &self,
        _: Scope,
        _: SubscriptionType,
    ) -> Result<Option<Subscribed>, DeviceError> {
        Ok(None)
    }

    async fn unsubscribe(
        &self,
        _: Scope,
        _: SubscriptionType,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Err(DeviceError::NoSubscription)
    }

    async fn fleet_subscriptions(&self) -> Result<Vec<Subscription>, DeviceError> {
        Ok(Vec::new())
    }
}

impl Downlink for AnswerAtOnce {
    async fn receive(
        &self,
        _: DeviceId,
        _: Instant,
        _: Instant,
    ) -> Result<Option<Held>, DeviceError> {
        Ok(None)
    }

    async fn settle(
        &self,
        _: DeviceId,
        _: String,
        _: Outcome,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Err(DeviceError::LockLost)
    }
}

impl Listing for AnswerAtOnce {
    async fn list(&self, _: ListQuery) -> Result<ListPage, DeviceError> {
        Ok(ListPage::default())
    }
}

impl UsageReports for AnswerAtOnce {
    async fn usage(&self, _: UsageQuery) -> Result<Usage, DeviceError> {
        Err(DeviceError::NotReady)
    }
}

impl DeadLetters for AnswerAtOnce {
    async fn dead_letters(&self, _: DeadLetterQuery) -> Result<Vec<DeadLetter>, DeviceError> {
        Ok(Vec::new())
    }

    async fn replay(&self, _: u64, _: Instant) -> Result<(), DeviceError> {
        Err(DeviceError::NoDeadLetter)
    }

    async fn discard(&self, _: u64, _: Instant) -> Result<(), DeviceError> {
        Err(DeviceError::NoDeadLetter)
    }
}
