//! What callers ask beside telemetry and twins.

use drawspan_client::Outcome;
use drawspan_hub::{DeviceId, SubscriptionType};
use tokio::time::{Instant, timeout_at};

use super::handle::Bridge;
use super::request::Request;
use crate::devices::{
    DeadLetter, DeadLetterQuery, DeadLetters, DeviceError, Downlink, Held, ListPage, ListQuery,
    Listing, Scope, Subscribe, Subscribed, Subscription, Subscriptions,
};

impl Subscriptions for Bridge {
    async fn subscribe(
        &self,
        subscribe: Subscribe,
        deadline: Instant,
    ) -> Result<Subscribed, DeviceError> {
        if let Scope::Device(device) = &subscribe.scope {
            self.check_id(device)?;
        }
        let permitted = self.guard.check(&subscribe.callback).await;
        permitted.map_err(DeviceError::CallbackRefused)?;
        let asked = self.answer(|reply| Request::Subscribe { subscribe, reply });
        in_time(asked, deadline).await
    }

    async fn subscription(
        &self,
        scope: Scope,
        kind: SubscriptionType,
    ) -> Result<Option<Subscribed>, DeviceError> {
        self.answer(|reply| Request::Subscription { scope, kind, reply })
            .await?
    }

    async fn unsubscribe(
        &self,
        scope: Scope,
        kind: SubscriptionType,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        let asked = self.answer(|reply| Request::Unsubscribe { scope, kind, reply });
        in_time(asked, deadline).await
    }

    async fn fleet_subscriptions(&self) -> Result<Vec<Subscription>, DeviceError> {
        self.answer(|reply| Request::FleetSubscriptions { reply })
            .await?
    }
}

/// What was asked goes on when nobody waits for its answer any more.
async fn in_time<T>(
    asked: impl Future<Output = Result<Result<T, DeviceError>, DeviceError>>,
    deadline: Instant,
) -> Result<T, DeviceError> {
    match timeout_at(deadline, asked).await {
        Ok(answer) => answer?,
        Err(_) => Err(DeviceError::FateUnknown),
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
