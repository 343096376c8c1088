//! Requests of callers other than telemetry and twins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drawspan_bridge::controller::{Letter, Request as Ask};
use drawspan_gateway::log_limit::{Leave, STORE_FAILURES};
use drawspan_gateway::{
    DeadLetter, DeadLetterQuery, DeadLetters, DeviceError, Downlink, Effect, Held, ListPage,
    ListQuery, Listing, Scope, Subscribe, Subscribed, Subscription, Subscriptions,
};
use drawspan_hub::{DeviceId, Outcome, SubscriptionType};
use drawspan_store::{DeadLetterFilter, StoreError, StoredDeadLetter};
use tokio::time::{Instant, timeout_at};

use super::errors::QUEUE_FULL;
use super::gateway::Gateway;
use super::platform::Caller;
use super::request::Look;
use crate::limits::{PULL_GRACE_MS, PULLS};

impl Subscriptions for Gateway {
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
        let asked = self.answer(|reply| Ask::Subscribe {
            scope: subscribe.scope,
            kind: subscribe.kind,
            callback: subscribe.callback,
            keep_connected: subscribe.keep_connected,
            limited: subscribe.limited,
            caller: Caller::Subscription(reply),
        });
        in_time(asked, deadline).await
    }

    async fn subscription(
        &self,
        scope: Scope,
        kind: SubscriptionType,
    ) -> Result<Option<Subscribed>, DeviceError> {
        self.answer(|reply| Look::Subscription { scope, kind, reply })
            .await?
    }

    async fn unsubscribe(
        &self,
        scope: Scope,
        kind: SubscriptionType,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        let asked = self.answer(|reply| Ask::Unsubscribe {
            scope,
            kind,
            caller: Caller::Done(reply),
        });
        in_time(asked, deadline).await
    }

    async fn fleet_subscriptions(&self) -> Result<Vec<Subscription>, DeviceError> {
        self.answer(|reply| Look::FleetSubscriptions { reply })
            .await?
    }
}

/// The operation continues if its answer is no longer awaited.
async fn in_time<T>(
    asked: impl Future<Output = Result<Result<T, DeviceError>, DeviceError>>,
    deadline: Instant,
) -> Result<T, DeviceError> {
    match timeout_at(deadline, asked).await {
        Ok(answer) => answer?,
        Err(_) => Err(DeviceError::FateUnknown),
    }
}

impl Downlink for Gateway {
    async fn receive(
        &self,
        device: DeviceId,
        wait_until: Instant,
        deadline: Instant,
    ) -> Result<Option<Held>, DeviceError> {
        self.check_id(&device)?;
        let _permit = PullPermit::take(&self.pulls).ok_or(QUEUE_FULL)?;
        let patience = wait_until > Instant::now();
        let of = device.clone();
        let asked = self.answer(|reply| Ask::Receive {
            device: of,
            patience,
            caller: Caller::Message(reply),
        });
        tokio::pin!(asked);
        // Failures of its connection are reported to those who wait for that.
        tokio::select! {
            biased;
            answer = &mut asked => return answer?,
            route = self.connect(&device, None, deadline) => {
                route?;
            }
        }
        let least = Instant::now() + Duration::from_millis(PULL_GRACE_MS);
        let until = wait_until.max(least).min(deadline);
        match timeout_at(until, asked).await {
            Ok(answer) => answer?,
            Err(_) => Ok(None),
        }
    }

    async fn settle(
        &self,
        device: DeviceId,
        lock_token: String,
        outcome: Outcome,
        deadline: Instant,
    ) -> Result<(), DeviceError> {
        let asked = self.answer(|reply| Ask::Settle {
            device,
            token: lock_token,
            outcome,
            caller: Caller::Done(reply),
        });
        in_time(asked, deadline).await
    }
}

/// One of the requests that may wait for messages.
struct PullPermit<'a>(&'a AtomicUsize);

impl<'a> PullPermit<'a> {
    fn take(count: &'a AtomicUsize) -> Option<Self> {
        let permit = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < PULLS).then_some(permit)
    }
}

impl Drop for PullPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listing for Gateway {
    async fn list(&self, query: ListQuery) -> Result<ListPage, DeviceError> {
        let query = Box::new(query);
        self.answer(|reply| Look::List { query, reply }).await?
    }
}

impl DeadLetters for Gateway {
    async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, DeviceError> {
        let device = match query.device {
            Some(device) => Some(self.called(device).await?),
            None => None,
        };
        let filter = DeadLetterFilter {
            device,
            prefix: query.prefix.as_str().to_owned(),
            kind: query.kind,
            after: query.after,
            limit: query.limit,
        };
        let Some(letters) = &self.letters else {
            return Ok(Vec::new());
        };
        let letters = letters.list(filter).await;
        let letters = letters.map_err(|error| not_read(&error))?;
        Ok(letters.into_iter().map(shown).collect())
    }

    async fn replay(&self, id: u64, deadline: Instant) -> Result<(), DeviceError> {
        let letter = timeout_at(deadline, self.letters()?.get(id)).await;
        let letter = letter.map_err(|_| DeviceError::NotReady)?;
        let letter = letter.map_err(|error| not_read(&error))?;
        let letter = letter.ok_or(DeviceError::NoDeadLetter)?.letter;
        let letter = Letter {
            webhook_id: letter.webhook_id,
            device: letter.device,
            kind: letter.kind,
            event: letter.event.into(),
        };
        let asked = self.answer(|reply| Ask::Replay {
            letter,
            caller: Caller::Done(reply),
        });
        in_time(asked, deadline).await
    }

    async fn discard(&self, id: u64, deadline: Instant) -> Result<(), DeviceError> {
        let letters = self.letters()?;
        Effect::begins();
        match timeout_at(deadline, letters.remove(id)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(DeviceError::NoDeadLetter),
            Ok(Err(error)) => {
                if let Some(Leave { left_out }) = STORE_FAILURES.pass("dead letter") {
                    tracing::error!(%error, left_out, "a dead letter could not be removed");
                }
                Err(DeviceError::NotStored(error.fault()))
            }
            Err(_) => Err(DeviceError::FateUnknown),
        }
    }
}

impl Gateway {
    /// Without a state directory there are none.
    fn letters(&self) -> Result<&drawspan_store::DeadLetters, DeviceError> {
        self.letters.as_ref().ok_or(DeviceError::NoDeadLetter)
    }
}

fn not_read(error: &StoreError) -> DeviceError {
    if let Some(Leave { left_out }) = STORE_FAILURES.pass("dead letters") {
        tracing::error!(%error, left_out, "dead letters could not be read");
    }
    match error {
        StoreError::Closed => DeviceError::NotReady,
        _ => DeviceError::NotRead(error.fault()),
    }
}

fn shown(stored: StoredDeadLetter) -> DeadLetter {
    let letter = stored.letter;
    DeadLetter {
        id: stored.id,
        webhook_id: letter.webhook_id,
        device: letter.device,
        kind: letter.kind,
        event: letter.event.into(),
        origin: letter.origin,
        reason: letter.reason,
        attempts: letter.attempts,
        failed_at: letter.failed_at,
    }
}
