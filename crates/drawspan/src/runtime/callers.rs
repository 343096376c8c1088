//! What callers ask beside telemetry and twins.

use drawspan_client::Outcome;
use drawspan_hub::{DeviceId, SubscriptionType};
use tokio::time::Instant;

use super::handle::Bridge;
use crate::devices::{
    DeadLetter, DeadLetterQuery, DeadLetters, DeviceError, Downlink, Held, ListPage, ListQuery,
    Listing, Scope, Subscribe, Subscribed, Subscription, Subscriptions,
};

impl Subscriptions for Bridge {
    async fn subscribe(&self, _: Subscribe, _: Instant) -> Result<Subscribed, DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn subscription(
        &self,
        _: Scope,
        _: SubscriptionType,
    ) -> Result<Option<Subscribed>, DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn unsubscribe(
        &self,
        _: Scope,
        _: SubscriptionType,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn fleet_subscriptions(&self) -> Result<Vec<Subscription>, DeviceError> {
        Err(DeviceError::NotReady)
    }
}

impl Downlink for Bridge {
    async fn receive(
        &self,
        _: DeviceId,
        _: Instant,
        _: Instant,
    ) -> Result<Option<Held>, DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn settle(
        &self,
        _: DeviceId,
        _: String,
        _: Outcome,
        _: Instant,
    ) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }
}

impl Listing for Bridge {
    async fn list(&self, _: ListQuery) -> Result<ListPage, DeviceError> {
        Err(DeviceError::NotReady)
    }
}

impl DeadLetters for Bridge {
    async fn dead_letters(&self, _: DeadLetterQuery) -> Result<Vec<DeadLetter>, DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn replay(&self, _: u64, _: Instant) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }

    async fn discard(&self, _: u64, _: Instant) -> Result<(), DeviceError> {
        Err(DeviceError::NotReady)
    }
}
